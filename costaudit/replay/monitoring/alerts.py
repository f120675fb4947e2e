"""Write Prometheus rules whose limits the log, replayed as predicted, does not exceed."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from costaudit.contracts.audit import Audit
from costaudit.contracts.run_dir import atomic_write
from costaudit.replay.monitoring.dashboard import (
    HOURS,
    SOURCES,
    Expectations,
    dashboard,
    expectations,
)
from costaudit.replay.monitoring.expected import ExpectedTraffic, Limit

HIT_RATE_FLAT = 0.5  # share of the predicted lower end below which something is broken
LATENCY_SLACK = 1.5
ERROR_SHARE = 0.05
LEAST = 30  # minimum number of requests in a window
ABSENT = "15m"


@dataclass(frozen=True)
class _Rule:
    name: str
    expression: str  # PromQL
    lasting: str  # how long it must hold
    severity: str
    summary: str


@dataclass(frozen=True)
class _Record:
    name: str
    expression: str  # PromQL


def alert_rules(expected: Expectations, traffic: ExpectedTraffic) -> bytes:
    """Return recording and alert rules as YAML for Prometheus."""
    import yaml

    alerts = (*_hit_rate_rules(expected, traffic), *_money_rules(traffic), *_other_rules(expected))
    rules: list[dict[str, Any]] = [
        {"record": one.name, "expr": one.expression} for one in _records(traffic, alerts)
    ]
    rules += [
        {
            "alert": rule.name,
            "expr": rule.expression,
            "for": rule.lasting,
            "labels": {"severity": rule.severity},
            "annotations": {"summary": rule.summary},
        }
        for rule in alerts
    ]
    groups = {"groups": [{"name": "costaudit", "interval": "1m", "rules": rules}]}
    text: str = yaml.safe_dump(groups, sort_keys=False, allow_unicode=True, width=100)
    notes = "".join(f"# {note}\n" for note in traffic.notes)
    return notes.encode() + text.encode()


def write_monitoring(
    audit: Audit, out: Path, traffic: ExpectedTraffic | None = None
) -> tuple[Path, Path]:
    """Write `alerts.yml` and `dashboard.json` from an audit, and return their paths.

    Without expected traffic, limits are the same at every hour.
    """
    expected = expectations(audit)
    rules = alert_rules(expected, traffic or ExpectedTraffic())
    written = (out / "alerts.yml", out / "dashboard.json")
    for path, content in zip(written, (rules, dashboard(expected)), strict=True):
        with atomic_write(path) as part:
            part.write_bytes(content)
    return written


def _records(traffic: ExpectedTraffic, alerts: tuple[_Rule, ...]) -> list[_Record]:
    """Return recording rules for each alert's quantity over its window, and for hourly limits."""
    text = " ".join(alert.expression for alert in alerts)
    records = [
        _Record("costaudit:hour_of_week", "day_of_week() * 24 + hour()"),
        _Record("costaudit:hour_of_day", "hour()"),
    ]
    for name, window_h in sorted(set(re.findall(r"costaudit:(\w+):increase(\d+)h", text))):
        own, *others = SOURCES[name]
        theirs = " + ".join(f"sum(increase({one}[{window_h}h]))" for one in others)
        expression = f"sum(increase({own}[{window_h}h])) or ({theirs})"
        records.append(_Record(f"costaudit:{name}:increase{window_h}h", expression))
    limits = {
        "hit_rate:low": traffic.hit_rate_low,
        "hit_rate:high": traffic.hit_rate_high,
        "cost_per_answer:high": traffic.cost_per_answer_high,
        "read_share:low": traffic.read_share_low,
        "cost_per_day:high": traffic.day_cost_high,
    }
    for name, limit in limits.items():
        if limit is not None:
            records.append(_Record(f"costaudit:{name}", _by_the_hour(limit)))
    return records


def _by_the_hour(limit: Limit) -> str:
    """Return PromQL for a limit by hour; adjacent hours with equal limits are merged."""
    clock = "costaudit:hour_of_week" if len(limit.by_hour) > HOURS else "costaudit:hour_of_day"
    parts, first = [], 0
    rounded = [f"{value:.2g}" for value in limit.by_hour]
    for hour in range(1, len(rounded) + 1):
        if hour == len(rounded) or rounded[hour] != rounded[first]:
            when = f"({clock} >= {first}) < {hour}"
            parts.append(f"(vector({rounded[first]}) and on() ({when}))")
            first = hour
    return "\nor ".join(parts)


def _ratio(part: str, whole: str, window_h: int) -> str:
    return f"costaudit:{part}:increase{window_h}h / costaudit:{whole}:increase{window_h}h"


def _hit_rate_rules(expected: Expectations, traffic: ExpectedTraffic) -> tuple[_Rule, ...]:
    """Return alerts on the hit rate, for a warm cache and windows with enough requests.

    A cache without a start time counts as warm once it has been scraped for long enough.
    """
    warm = (
        "(time() - max(semantic_cache_start_time_seconds) > {0:.0f} "
        "or (absent(semantic_cache_start_time_seconds) "
        "and on() costaudit:lookups:increase{1}h offset {0:.0f}s))"
    )
    low, high, usual = traffic.hit_rate_low, traffic.hit_rate_high, expected.hit_rate_percent
    rules = []
    if low is not None:
        rules.append(("Low", low, f"{_ratio('hits', 'lookups', low.window_h)} < on() "
                      "costaudit:hit_rate:low", "critical", "fewer"))  # fmt: skip
    elif expected.lowest_hit_rate_percent is not None and not traffic.notes:
        flat = Limit(6, (), expected.lowest_hit_rate_percent / 100)
        least = expected.lowest_hit_rate_percent / 100 * HIT_RATE_FLAT
        rules.append(("Low", flat, f"{_ratio('hits', 'lookups', 6)} < {least:.4g}", "critical",
                      "fewer"))  # fmt: skip
    if high is not None:
        rules.append(("TooHigh", high, f"{_ratio('hits', 'lookups', high.window_h)} > on() "
                      "costaudit:hit_rate:high", "warning", "more"))  # fmt: skip
    about = "" if usual is None else f" The audit predicted {usual:.1f}% over all hours."
    return tuple(
        _Rule(
            f"SemanticCacheHitRate{name}",
            f"({expression})\nand on() costaudit:lookups:increase{limit.window_h}h >= {LEAST}\n"
            f"and on() {warm.format(traffic.warm_up_s + limit.window_h * 3600, limit.window_h)}",
            "30m",
            severity,
            f"The cache hit {{{{ $value | humanizePercentage }}}} of the lookups of the last "
            f"{limit.window_h} h, {word} than this hour of the week can have.{about}",
        )
        for name, limit, expression, severity, word in rules
    )


def _money_rules(traffic: ExpectedTraffic) -> tuple[_Rule, ...]:
    """Return alerts on the cost of an answer, the cost of a day, and the prompt cache's share."""
    rules = []
    cost, reads, day = (
        traffic.cost_per_answer_high, traffic.read_share_low, traffic.day_cost_high,
    )  # fmt: skip
    if cost is not None:
        window_h = cost.window_h
        rules.append(_Rule(
            "LLMCostPerAnswerHigh",
            f"({_ratio('cost', 'answers', window_h)} > on() costaudit:cost_per_answer:high)\n"
            f"and on() costaudit:answers:increase{window_h}h >= {LEAST}",
            "30m",
            "critical",
            f"An answer of a model cost ${{{{ $value | humanize }}}} over the last {window_h} h; "
            f"the log's cost ${cost.usual:.3g}. See prices, models and the length of prompts.",
        ))  # fmt: skip
    if day is not None:
        rules.append(_Rule(
            "LLMCostPerDayHigh",
            "costaudit:cost:increase24h > on() costaudit:cost_per_day:high",
            "1h",
            "warning",
            "Models cost ${{ $value | humanize }} in 24 hours, more than the month after the log "
            f"should have at this hour of the week. A mean day of the log costs ${day.usual:.3g} "
            "with the cache.",
        ))  # fmt: skip
    if reads is not None:
        window_h = reads.window_h
        rules.append(_Rule(
            "PromptCacheBroken",
            f"({_ratio('read', 'input', window_h)} < on() costaudit:read_share:low)\n"
            f"and on() costaudit:answers:increase{window_h}h >= {LEAST}",
            "30m",
            "critical",
            f"{{{{ $value | humanizePercentage }}}} of input tokens were read from the provider's "
            f"prompt cache over the last {window_h} h; in the log it was {reads.usual:.0%}. See "
            "what has changed at the start of the prompts.",
        ))  # fmt: skip
    return tuple(rules)


def _other_rules(expected: Expectations) -> tuple[_Rule, ...]:
    latency_s = expected.latency_p95_s * LATENCY_SLACK
    by_bucket = (
        "sum by (le) (rate(llm_request_latency_seconds_bucket[1h])) "
        "or sum by (le) (rate(litellm_request_total_latency_metric_bucket[1h]))"
    )
    return (
        _Rule(
            "LLMLatencyHigh",
            f"histogram_quantile(0.95, {by_bucket}) > {latency_s:.6g}\n"
            f"and on() costaudit:requests:increase1h >= {LEAST}",
            "1h",
            "warning",
            'The 95th percentile of latency is {{ $value | printf "%.1f" }} s; the log\'s own '
            f"was {expected.latency_p95_s:.1f} s.",
        ),
        _Rule(
            "SemanticCacheErrors",
            f"{_ratio('errors', 'requests', 1)} > {ERROR_SHARE}\n"
            f"and on() costaudit:requests:increase1h >= {LEAST}",
            "10m",
            "critical",
            "{{ $value | humanizePercentage }} of requests fail in the cache or the model.",
        ),
        _Rule(
            "LLMMetricsAbsent",
            "absent(semantic_cache_requests_total) "
            "and absent(litellm_proxy_total_requests_metric_total)",
            ABSENT,
            "warning",
            "No metrics of the cache arrive: the other alerts of this group can't fire.",
        ),
    )
