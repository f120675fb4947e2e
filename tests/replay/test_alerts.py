"""Alert rules and dashboard: limits computed by hand, and the format checked by Prometheus."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from costaudit.replay.monitoring.alerts import write_monitoring
from costaudit.replay.monitoring.dashboard import expectations
from tests.replay.alert_audit import small_audit
from tests.report.sample_audit import AUDIT, NO_PROMPTS


def test_expectations_are_the_audit_s_numbers_per_hour() -> None:
    found = expectations(small_audit())
    assert found.cost_per_hour_usd == pytest.approx(1.0)  # $720 / (30 x 24)
    assert found.saved_per_hour_usd == pytest.approx(0.5)
    shares = (found.lowest_hit_rate_percent, found.hit_rate_percent, found.highest_hit_rate_percent)
    assert shares == pytest.approx((36, 40, 44))
    assert found.latency_p95_s == 3.2  # the one with a minute is an endpoint with 1 % of the cost


def test_without_times_the_limits_are_the_same_at_every_hour(tmp_path: Path) -> None:
    rules, _ = write_monitoring(small_audit(), tmp_path)
    (group,) = yaml.safe_load(rules.read_bytes())["groups"]
    expressions = {rule["alert"]: rule["expr"] for rule in group["rules"] if "alert" in rule}
    assert "< 0.18)" in expressions["SemanticCacheHitRateLow"]  # half of the interval's lower bound
    assert "> 4.8\n" in expressions["LLMLatencyHigh"]  # 1.5 x 3.2


def test_without_a_semantic_section_there_is_no_hit_rate_to_watch(tmp_path: Path) -> None:
    rules, board = write_monitoring(NO_PROMPTS, tmp_path)
    found = yaml.safe_load(rules.read_bytes())["groups"][0]["rules"]
    names = [rule["alert"] for rule in found if "alert" in rule]
    assert names == ["LLMLatencyHigh", "SemanticCacheErrors", "LLMMetricsAbsent"]
    (first, *_) = json.loads(board.read_bytes())["panels"]
    assert len(first["fieldConfig"]["defaults"]["thresholds"]["steps"]) == 1


def test_the_dashboard_draws_the_audit_s_lines(tmp_path: Path) -> None:
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


def test_prometheus_accepts_the_rules(tmp_path: Path, promtool: str) -> None:
    for audit in (small_audit(), AUDIT, NO_PROMPTS):
        rules, _ = write_monitoring(audit, tmp_path)
        run = subprocess.run([promtool, "check", "rules", rules], capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr


def test_prometheus_accepts_every_query_of_the_dashboard(tmp_path: Path, promtool: str) -> None:
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
