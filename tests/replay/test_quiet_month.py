"""A month as predicted fires no alert, and a planted drop does, by Prometheus's test runner."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from costaudit.costing.months.month import month_of
from costaudit.pipeline.replaying.monitoring import outlook_of
from costaudit.replay.monitoring.alerts import write_monitoring
from costaudit.replay.monitoring.expected import (
    ExpectedTraffic,
    Outlook,
    Traffic,
    expected_traffic,
)
from tests.replay.alert_audit import small_audit

SUNDAY_S = 1_767_484_800.0  # 2026-01-04 00:00 UTC
HOUR_S, DAYS = 3600, 30


@dataclass(frozen=True)
class Hourly:
    """A month of counters, one row per hour."""

    lookups: np.ndarray
    hits: np.ndarray
    cost: np.ndarray
    read: np.ndarray
    whole: np.ndarray


def shape(hour: int) -> tuple[float, float]:
    """Return requests per hour and the hit rate: nights and weekends are quiet, nights hit less."""
    of_day, of_week = hour % 24, hour // 24 % 7
    busy = 0.15 if of_day < 7 else 1.0
    weekend = 0.3 if of_week in (0, 6) else 1.0
    return 240 * busy * weekend, 0.25 if of_day < 7 else 0.45


def month(seed: int, first_hour: int = 0, days: int = DAYS, growth: float = 0.0) -> Hourly:
    """Return a random month; on the first day the hit rate grows as the cache fills.

    `growth` is the growth of traffic per day, as a share of the first hour's.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for hour in range(first_hour, first_hour + days * 24):
        rate, hit_rate = shape(hour)
        warm = min(1.0, (hour - first_hour + 1) / 18)
        lookups = rng.poisson(rate * (1 + growth * hour / 24))
        hits = rng.binomial(lookups, hit_rate * warm)
        answers = lookups - hits
        cost = rng.lognormal(-5.0, 0.8, answers).sum()
        whole = rng.integers(1500, 2500, answers).sum()
        rows.append((lookups, hits, cost, 0.7 * whole * rng.uniform(0.97, 1.03), whole))
    return Hourly(*(np.array(column, float) for column in zip(*rows, strict=True)))


def traffic(of: Hourly) -> Traffic:
    """Return the requests of each hour, spread over it as in a log."""
    ts: list[np.ndarray] = []
    hit: list[np.ndarray] = []
    cost: list[np.ndarray] = []
    read: list[np.ndarray] = []
    whole: list[np.ndarray] = []
    for hour, lookups in enumerate(of.lookups.astype(int)):
        hits = int(of.hits[hour])
        answers = max(lookups - hits, 1)
        ts.append(SUNDAY_S + hour * HOUR_S + (np.arange(lookups) + 0.5) / max(lookups, 1) * HOUR_S)
        hit.append(np.arange(lookups) < hits)
        for column, total in ((cost, of.cost), (read, of.read), (whole, of.whole)):
            column.append(np.where(hit[-1], 0.0, total[hour] / answers))
    columns = [np.concatenate(column) for column in (ts, hit, cost, read, whole)]
    return Traffic(columns[0], np.ones(len(columns[0]), bool), *columns[1:])


@pytest.fixture(scope="module")
def expected() -> ExpectedTraffic:
    log = traffic(month(1))
    return expected_traffic(log, outlook(log))


def test_a_fall_stands_out_in_each_quantity(expected: ExpectedTraffic) -> None:
    low, cost, reads = (
        expected.hit_rate_low, expected.cost_per_answer_high, expected.read_share_low,
    )  # fmt: skip
    assert low is not None and cost is not None and reads is not None
    assert low.window_h <= 6 and len(low.by_hour) == 168
    night, day = low.by_hour[24 + 6], low.by_hour[24 + 15]  # Monday
    assert 0 < night < 0.25 and night < day < 0.45
    assert 10 * HOUR_S <= expected.warm_up_s <= 48 * HOUR_S
    assert reads.usual == pytest.approx(0.7, abs=0.01)


def test_a_log_of_hours_has_no_limits() -> None:
    short = traffic(month(1))
    columns = (getattr(short, one.name)[:500] for one in fields(short))
    found = expected_traffic(Traffic(*columns))
    assert found.hit_rate_low is None and found.notes


def outlook(of: Traffic) -> Outlook:
    """Return the month model's outlook, as `monitor` does."""
    times = pl.from_epoch(pl.Series("ts", (of.ts_s * 1e6).astype(np.int64)), time_unit="us")
    days = float(of.ts_s[-1] - of.ts_s[0]) / 86_400
    table = {"ts": times.dt.replace_time_zone("UTC"), "served_by": [None] * len(times)}
    return outlook_of(month_of(pl.DataFrame(table), days), of)


def test_the_month_after_a_log_that_grows_costs_no_more_than_its_limits() -> None:
    # Traffic grows by 1.5 % of the first day's per day: after 60 days it is 1.9 times that day's.
    log = traffic(month(1, growth=0.015))
    coming = month(7, first_hour=30 * 24, growth=0.015)
    before, after = expected_traffic(log), expected_traffic(log, outlook(log))
    assert before.day_cost_high is not None and after.day_cost_high is not None
    days = np.convolve(coming.cost, np.ones(24), "valid")
    ends = (30 * 24 + 24 + np.arange(len(days))) % 168
    assert (days > np.array(before.day_cost_high.by_hour)[ends]).any()  # growth alone would fire
    assert (days <= np.array(after.day_cost_high.by_hour)[ends]).all()
    leap = 2.5 * days > np.array(after.day_cost_high.by_hour)[ends]
    assert leap.mean() > 0.7  # detected except on quiet weekends


def test_a_steady_log_expects_no_change() -> None:
    found = outlook(traffic(month(1)))
    assert found.cost_per_answer == pytest.approx(1, abs=0.05)
    assert found.read_share == pytest.approx(1, abs=0.01)
    assert found.hit_rate == pytest.approx(1, abs=0.12)  # the cold first day looks like a trend
    # A working day has 2,450 answers of log-normal cost (sigma 0.8), so its sum varies by
    # sqrt(e^0.64 / 2,450) = 2.8 %, with weekends about 3 %. Over 30 days, compared weekday by
    # weekday, a slope's error is 3 % / sqrt(7 x 245) = 0.07 % a day. The days ahead have their
    # middle 45 days after the log's: 3.2 %, or 6.3 % at 95 %, around a slope of up to one or two
    # errors that was drawn.
    assert 1.063 - 0.032 < found.day_cost < 1.063 + 2 * 0.032


def test_windows_over_a_hole_of_the_log_set_no_limit() -> None:
    whole = traffic(month(1))
    hour = ((whole.ts_s - SUNDAY_S) // HOUR_S).astype(int)
    kept = (hour < 240) | (hour >= 264)  # the eleventh day, a Wednesday, is missing
    of = Traffic(*(getattr(whole, one.name)[kept] for one in fields(whole)))
    seen = outlook(of)
    assert seen.covered is not None and seen.covered[240:264].sum() == 0
    limit = expected_traffic(of, seen).day_cost_high
    apart = expected_traffic(of).day_cost_high
    full = expected_traffic(whole, outlook(whole)).day_cost_high
    assert limit is not None and apart is not None and full is not None
    wednesday = 4 * 24 - 1
    assert limit.usual == pytest.approx(full.usual, rel=0.05)
    assert apart.usual < limit.usual
    assert limit.by_hour[wednesday] == pytest.approx(full.by_hour[wednesday], rel=0.25)


def series(of: Hourly) -> list[dict[str, str]]:
    """Return the counters every 30 minutes, in the format of Prometheus's test runner."""

    def counter(hourly: np.ndarray) -> str:
        halves = np.repeat(hourly / 2, 2)
        return " ".join(f"{value:.6f}" for value in np.concatenate([[0.0], np.cumsum(halves)]))

    misses = of.lookups - of.hits
    zero = np.zeros(len(of.lookups))
    named = {
        'semantic_cache_requests_total{result="hit"}': of.hits,
        'semantic_cache_requests_total{result="miss"}': misses,
        'semantic_cache_requests_total{result="bypass"}': zero,
        'semantic_cache_requests_total{result="error"}': zero,
        'llm_cost_dollars_total{model="m"}': of.cost,
        'llm_tokens_total{type="cache_read",model="m"}': of.read,
        'llm_tokens_total{type="input",model="m"}': of.whole - of.read,
    }
    found = [{"series": name, "values": counter(hourly)} for name, hourly in named.items()]
    count = 2 * len(of.lookups)
    return [*found, {"series": "semantic_cache_start_time_seconds", "values": f"0x{count}"}]


def litellm(of: Hourly) -> list[dict[str, str]]:
    """Return the same month under the names of LiteLLM's /metrics."""
    names = {
        'semantic_cache_requests_total{result="hit"}': "litellm_cache_hits_metric_total",
        'semantic_cache_requests_total{result="miss"}': "litellm_cache_misses_metric_total",
        'semantic_cache_requests_total{result="error"}': (
            "litellm_proxy_failed_requests_metric_total"
        ),
        'llm_cost_dollars_total{model="m"}': "litellm_spend_metric_total",
        'llm_tokens_total{type="cache_read",model="m"}': "litellm_input_cached_tokens_metric_total",
    }
    own = {one["series"]: one["values"] for one in series(of)}
    found = [{"series": new, "values": own[name]} for name, new in names.items()]
    whole = np.concatenate([[0.0], np.cumsum(np.repeat(of.whole / 2, 2))])
    lookups = np.concatenate([[0.0], np.cumsum(np.repeat(of.lookups / 2, 2))])
    for name, values in (("input_tokens", whole), ("proxy_total_requests", lookups)):
        text = " ".join(f"{value:.4f}" for value in values)
        found.append({"series": f"litellm_{name}_metric_total", "values": text})
    return found


def fired(
    folder: Path, expected: ExpectedTraffic, given: list[dict[str, str]], until_h: int
) -> set[str]:
    """Return the names of the alerts that fired, by asking Prometheus for each one."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool: apt-get install prometheus")
    rules, _ = write_monitoring(small_audit(), folder, expected)
    group = yaml.safe_load(rules.read_bytes())["groups"][0]
    group["interval"] = "1h"  # one minute would take too long
    rules.write_text(yaml.safe_dump({"groups": [group]}))
    names = [rule["alert"] for rule in group["rules"] if "alert" in rule]
    asked = [
        {
            "expr": f'count_over_time(ALERTS{{alertname="{name}",alertstate="firing"}}[31d])',
            "eval_time": f"{until_h}h",
            "exp_samples": [],
        }
        for name in names
    ]
    test = {"interval": "30m", "input_series": given, "promql_expr_test": asked}
    scenario = {"rule_files": [rules.name], "evaluation_interval": "30m", "tests": [test]}
    path = folder / "scenario.yml"
    path.write_text(yaml.safe_dump(scenario))
    run = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True)
    said = run.stdout + run.stderr
    assert "FAILED" in said or "SUCCESS" in said, said[-2000:]
    return {name for name in names if f'alertname="{name}"' in said}


THURSDAY_H = 4 * 24  # the test clock's first hour, counted from Sunday


@pytest.mark.parametrize("names", [series, pytest.param(litellm, marks=pytest.mark.slow)])
def test_days_as_predicted_fire_nothing(
    tmp_path: Path, expected: ExpectedTraffic, names: Callable[[Hourly], list[dict[str, str]]]
) -> None:
    assert fired(tmp_path, expected, names(month(2, THURSDAY_H, 4)), 4 * 24) == set()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_month_as_predicted_fires_nothing(
    tmp_path: Path, expected: ExpectedTraffic, seed: int
) -> None:
    assert fired(tmp_path, expected, series(month(seed, THURSDAY_H)), DAYS * 24) == set()


FALLS = {
    "cache broken": ("SemanticCacheHitRateLow", {"hits": 0.0}),
    "prefix broken": ("PromptCacheBroken", {"read": 0.0}),
    "price doubled": ("LLMCostPerAnswerHigh", {"cost": 2.0}),
}


@pytest.mark.parametrize(
    "fall",
    [
        "prefix broken",
        pytest.param("cache broken", marks=pytest.mark.slow),
        pytest.param("price doubled", marks=pytest.mark.slow),
    ],
)
def test_a_planted_fall_fires_within_its_time(
    tmp_path: Path, expected: ExpectedTraffic, fall: str
) -> None:
    alert, factors = FALLS[fall]
    whole = month(4, THURSDAY_H, 6)
    at = 5 * 24 + 10  # ten o'clock on a Tuesday morning
    changed = {}
    for name, factor in factors.items():
        column = getattr(whole, name).copy()
        column[at:] *= factor
        changed[name] = column
    limit = {
        "SemanticCacheHitRateLow": expected.hit_rate_low,
        "PromptCacheBroken": expected.read_share_low,
        "LLMCostPerAnswerHigh": expected.cost_per_answer_high,
    }[alert]
    assert limit is not None
    after_h = limit.window_h + 2  # the window, and then half an hour of `for` at most
    given = series(replace(whole, **changed))
    assert alert in fired(tmp_path, expected, given, at + after_h)


def test_no_metrics_at_all_are_missed(tmp_path: Path, expected: ExpectedTraffic) -> None:
    other = [{"series": "up", "values": "1x100"}]
    assert fired(tmp_path, expected, other, 24) == {"LLMMetricsAbsent"}
