"""Alert rules and dashboard: limits by hand from an audit, format by Prometheus itself."""

import json
import shutil
import subprocess
from dataclasses import replace
from decimal import Decimal

import pytest
import yaml

from costaudit.contracts.grades import Estimate, Money
from costaudit.replay.alerts import expectations, write_monitoring
from tests.report.sample_audit import AUDIT, NO_PROMPTS


def small_audit():
    """Say $720 after (at most $900) and $360 saved in 30 days; 40 % hits (36 to 44 %)."""
    verdict = replace(
        AUDIT.verdict,
        after=Money(Decimal(720), "estimated", Decimal(600), Decimal(900)),
        saving=Money(Decimal(360), "estimated"),
    )
    section = AUDIT.semantic
    assert section is not None
    point = replace(
        section.points[0], recommended=True, raw_hit_share=Estimate(0.40, "estimated", 0.36, 0.44)
    )
    row = AUDIT.spend.by["endpoint"][0]
    by = {
        "endpoint": (
            replace(row, group="/a", share=0.9, latency_p95_ms=3200.0),
            replace(row, group="/b", share=0.01, latency_p95_ms=60_000.0),
        ),
        "hour": tuple(
            replace(row, group=f"{hour:02}", share=0.125 if hour == 9 else 0.038)
            for hour in range(24)
        ),
    }
    return replace(
        AUDIT,
        verdict=verdict,
        semantic=replace(section, points=(point,)),
        spend=replace(AUDIT.spend, by=by),
        ledger=replace(AUDIT.ledger, month_days=30),
    )


def test_expectations_are_the_audit_s_numbers_per_hour():
    found = expectations(small_audit())
    assert found.cost_per_hour_usd == pytest.approx(1.0)  # $720 / (30 x 24)
    # $900 / 720 h, in an hour with 12.5 % of the day's money: 24 x 0.125 = 3 times the mean
    assert found.highest_cost_per_hour_usd == pytest.approx(3.75)
    assert found.saved_per_hour_usd == pytest.approx(0.5)
    shares = (found.lowest_hit_rate_percent, found.hit_rate_percent, found.highest_hit_rate_percent)
    assert shares == pytest.approx((36, 40, 44))
    assert found.latency_p95_s == 3.2  # the minute is an endpoint with 1 % of the money


def test_the_rules_carry_those_numbers(tmp_path):
    rules, _ = write_monitoring(small_audit(), tmp_path)
    (group,) = yaml.safe_load(rules.read_bytes())["groups"]
    expressions = {rule["alert"]: rule["expr"] for rule in group["rules"]}
    assert expressions["SemanticCacheHitRateLow"].endswith("< 28.8")  # 0.8 x 36
    assert expressions["SemanticCacheHitRateTooHigh"].endswith("> 59.0")  # 44 + 15
    assert expressions["LLMCostPerHourHigh"].endswith("> 4.5")  # 1.2 x 3.75
    assert expressions["LLMLatencyHigh"].endswith("> 4")  # 1.25 x 3.2
    summaries = " ".join(rule["annotations"]["summary"] for rule in group["rules"])
    assert "at least 36.0 %" in summaries and "$3.75" in summaries


def test_without_a_semantic_section_there_is_no_hit_rate_to_watch(tmp_path):
    rules, board = write_monitoring(NO_PROMPTS, tmp_path)
    names = [rule["alert"] for rule in yaml.safe_load(rules.read_bytes())["groups"][0]["rules"]]
    assert names == ["LLMCostPerHourHigh", "LLMLatencyHigh", "SemanticCacheErrors"]
    (first, *_) = json.loads(board.read_bytes())["panels"]
    assert len(first["fieldConfig"]["defaults"]["thresholds"]["steps"]) == 1


def test_the_dashboard_draws_the_audit_s_lines(tmp_path):
    _, board = write_monitoring(small_audit(), tmp_path)
    page = json.loads(board.read_bytes())
    lines = {
        panel["title"]: panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"]
        for panel in page["panels"]
    }
    assert lines["Cache hit rate"] == pytest.approx(40)
    assert lines["Cost per hour"] == pytest.approx(1)
    assert len({panel["id"] for panel in page["panels"]}) == len(page["panels"])
    places = [tuple(panel["gridPos"].values()) for panel in page["panels"]]
    assert len(set(places)) == len(places)


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("no promtool: apt-get install prometheus")
    return found


def test_prometheus_accepts_the_rules(tmp_path, promtool):
    for audit in (small_audit(), AUDIT, NO_PROMPTS):
        rules, _ = write_monitoring(audit, tmp_path)
        run = subprocess.run([promtool, "check", "rules", rules], capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr


def test_prometheus_accepts_every_query_of_the_dashboard(tmp_path, promtool):
    _, board = write_monitoring(small_audit(), tmp_path)
    queries = [
        target["expr"]
        for panel in json.loads(board.read_bytes())["panels"]
        for target in panel["targets"]
    ]
    rules = [{"record": f"q:{i}", "expr": query} for i, query in enumerate(queries)]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "q", "rules": rules}]}))
    run = subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_prometheus_fires_the_rules_when_they_should(tmp_path, promtool):
    # 20 % of hits for two hours is under 28.8 %; $0.10 a minute is $6 an hour, over $4.50.
    write_monitoring(small_audit(), tmp_path)
    low = {"severity": "critical"}
    scenario = {
        "rule_files": ["alerts.yml"],
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": "semantic_cache_hit_rate", "values": "35x59 20x240"},
                    {"series": 'llm_cost_dollars_total{model="m"}', "values": "0+0.1x300"},
                ],
                "alert_rule_test": [
                    {"eval_time": "50m", "alertname": "SemanticCacheHitRateLow", "exp_alerts": []},
                    {
                        "eval_time": "130m",
                        "alertname": "SemanticCacheHitRateLow",
                        "exp_alerts": [
                            {
                                "exp_labels": low,
                                "exp_annotations": {
                                    "summary": "The cache hits 20.0 % of lookups; the audit "
                                    "predicted at least 36.0 %."
                                },
                            }
                        ],
                    },
                    {"eval_time": "290m", "alertname": "SemanticCacheErrors", "exp_alerts": []},
                    {
                        "eval_time": "290m",
                        "alertname": "LLMCostPerHourHigh",
                        "exp_alerts": [
                            {
                                "exp_labels": {"severity": "warning"},
                                "exp_annotations": {
                                    "summary": "Models cost $6.00 an hour; the audit expects at "
                                    "most $3.75 in the busiest one."
                                },
                            }
                        ],
                    },
                ],
            }
        ],
    }
    path = tmp_path / "scenario.yml"
    path.write_text(yaml.safe_dump(scenario))
    run = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
