"""Prometheus alerts and a Grafana dashboard whose limits are an audit's own numbers."""

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from costaudit.contracts.audit import Audit
from costaudit.contracts.grades import Estimate
from costaudit.contracts.run_dir import atomic_write
from costaudit.contracts.semantic import SemanticSection

HOURS = 24
USUAL_LATENCY_S = 5.0  # the article's limit, where the log has no latencies
LEAST_SHARE = 0.05  # of the money: endpoints below it don't set the latency limit


@dataclass(frozen=True)
class Expectations:
    """Numbers of one audit; None where it could not tell."""

    hit_rate_percent: float | None  # of lookups, at the recommended threshold
    lowest_hit_rate_percent: float | None  # lower end of its interval
    highest_hit_rate_percent: float | None
    cost_per_hour_usd: float  # after the plan, in a mean hour
    highest_cost_per_hour_usd: float  # upper end of its interval, in the busiest hour of the day
    saved_per_hour_usd: float
    latency_p95_s: float  # of the slowest endpoint that matters, before


def expectations(audit: Audit) -> Expectations:
    """Read what an audit promises."""
    verdict, month_hours = audit.verdict, audit.ledger.month_days * HOURS
    after, saving = verdict.after, verdict.saving
    highest_usd = after.high_usd if after.high_usd is not None else after.usd
    rate = _hit_share(audit.semantic) if audit.semantic is not None else None
    percents = (None, None, None) if rate is None else _percents(rate)
    return Expectations(
        hit_rate_percent=percents[0],
        lowest_hit_rate_percent=percents[1],
        highest_hit_rate_percent=percents[2],
        cost_per_hour_usd=_hourly(after.usd, month_hours),
        highest_cost_per_hour_usd=_hourly(highest_usd, month_hours) * _busiest(audit),
        saved_per_hour_usd=_hourly(saving.usd, month_hours),
        latency_p95_s=_slowest(audit),
    )


def _hit_share(section: SemanticSection) -> Estimate | None:
    return None if section.chosen is None else section.chosen.raw_hit_share


def _percents(rate: Estimate) -> tuple[float, float, float]:
    low = rate.value if rate.low is None else rate.low
    high = rate.value if rate.high is None else rate.high
    return 100 * rate.value, 100 * low, 100 * high


def _hourly(usd_month: Decimal, month_hours: float) -> float:
    return float(usd_month) / month_hours


def _busiest(audit: Audit) -> float:
    """Say how many times the mean the busiest hour of the day costs; 1 where hours are unknown."""
    shares = [row.share for row in audit.spend.by.get("hour", ()) if row.group]
    return max(1.0, max(shares, default=0.0) * HOURS)


def _slowest(audit: Audit) -> float:
    found = [
        row.latency_p95_ms / 1000
        for row in audit.spend.by.get("endpoint", ())
        if row.latency_p95_ms is not None and row.share >= LEAST_SHARE
    ]
    return max(found, default=USUAL_LATENCY_S)


SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class _Panel:
    title: str
    unit: str  # as Grafana names it
    queries: tuple[tuple[str, str], ...]  # PromQL, legend
    line: float | None = None  # where the audit expects it; drawn as a threshold
    note: str = ""


def dashboard(expected: Expectations) -> bytes:
    """Write a dashboard as JSON, ready to import."""
    panels = [_panel(panel, place) for place, panel in enumerate(_panels(expected))]
    board = {
        "title": "LLM cache: measured against the audit",
        "uid": "costaudit",
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data"}
            ]
        },
        "panels": panels,
    }
    return json.dumps(board, indent=2).encode() + b"\n"


def _panels(expected: Expectations) -> tuple[_Panel, ...]:
    p95 = "histogram_quantile(0.95, sum by (le) (rate({}_bucket[5m])))"
    return (
        _Panel(
            "Cache hit rate",
            "percent",
            (("semantic_cache_hit_rate", "measured"),),
            expected.hit_rate_percent,
            "The line is the hit rate that the audit predicted.",
        ),
        _Panel(
            "Requests per second",
            "reqps",
            (("sum by (result) (rate(semantic_cache_requests_total[5m]))", "{{result}}"),),
        ),
        _Panel(
            "Cost per hour",
            "currencyUSD",
            (("sum by (model) (rate(llm_cost_dollars_total[1h])) * 3600", "{{model}}"),),
            expected.cost_per_hour_usd,
            "The line is the audit's mean hour after caching.",
        ),
        _Panel(
            "Saved by the cache per hour",
            "currencyUSD",
            (("sum(rate(llm_cost_saved_dollars_total[1h])) * 3600", "saved"),),
            expected.saved_per_hour_usd,
            "The line is the saving that the audit predicted, in its mean hour.",
        ),
        _Panel(
            "95th percentile of latency",
            "s",
            (
                (p95.format("llm_request_latency_seconds"), "answer"),
                (p95.format("semantic_cache_lookup_seconds"), "lookup"),
            ),
            expected.latency_p95_s,
            "The line is the log's own 95th percentile, before caching.",
        ),
        _Panel(
            "Tokens per second",
            "short",
            (("sum by (type) (rate(llm_tokens_total[5m]))", "{{type}}"),),
        ),
    )


def _panel(panel: _Panel, place: int) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.line is not None:
        steps.append({"color": "orange", "value": panel.line})
    return {
        "id": place + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.note,
        "datasource": SOURCE,
        "gridPos": {"x": 12 * (place % 2), "y": 8 * (place // 2), "w": 12, "h": 8},
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "thresholds": {"mode": "absolute", "steps": steps},
                "custom": {"thresholdsStyle": {"mode": "off" if len(steps) == 1 else "line"}},
            },
            "overrides": [],
        },
        "targets": [
            {"refId": chr(ord("A") + i), "expr": query, "legendFormat": legend,
             "datasource": SOURCE}
            for i, (query, legend) in enumerate(panel.queries)
        ],
    }  # fmt: skip


HIT_RATE_SLACK = 0.8  # of the predicted lower end: below it something is broken
HIT_RATE_RISE = 15  # points above the predicted upper end: too good to be right
COST_SLACK = 1.2  # of the busiest hour's upper end
LATENCY_SLACK = 1.25
ERROR_SHARE = 0.01


@dataclass(frozen=True)
class _Rule:
    name: str
    expression: str  # PromQL
    lasting: str  # how long it must hold
    severity: str
    summary: str


def alert_rules(expected: Expectations) -> bytes:
    """Write alert rules as the YAML that Prometheus reads."""
    import yaml

    rules = [
        {
            "alert": rule.name,
            "expr": rule.expression,
            "for": rule.lasting,
            "labels": {"severity": rule.severity},
            "annotations": {"summary": rule.summary},
        }
        for rule in (*_hit_rate_rules(expected), *_other_rules(expected))
    ]
    groups = {"groups": [{"name": "costaudit", "rules": rules}]}
    text: str = yaml.safe_dump(groups, sort_keys=False, allow_unicode=True, width=100)
    return text.encode()


def write_monitoring(audit: Audit, out: Path) -> tuple[Path, Path]:
    """Write `alerts.yml` and `dashboard.json` from an audit; give their paths."""
    expected = expectations(audit)
    written = (out / "alerts.yml", out / "dashboard.json")
    for path, content in zip(written, (alert_rules(expected), dashboard(expected)), strict=True):
        with atomic_write(path) as part:
            part.write_bytes(content)
    return written


def _hit_rate_rules(expected: Expectations) -> tuple[_Rule, ...]:
    lowest, highest = expected.lowest_hit_rate_percent, expected.highest_hit_rate_percent
    if lowest is None or highest is None:
        return ()
    least, most = lowest * HIT_RATE_SLACK, min(99.0, highest + HIT_RATE_RISE)
    return (
        _Rule(
            "SemanticCacheHitRateLow",
            f"semantic_cache_hit_rate < {least:.1f}",
            "1h",
            "critical",
            f'The cache hits {{{{ $value | printf "%.1f" }}}} % of lookups; the audit predicted '
            f"at least {lowest:.1f} %.",
        ),
        _Rule(
            "SemanticCacheHitRateTooHigh",
            f"semantic_cache_hit_rate > {most:.1f}",
            "1h",
            "warning",
            f'The cache hits {{{{ $value | printf "%.1f" }}}} % of lookups; the audit predicted '
            f"at most {highest:.1f} %. See whether its answers are right.",
        ),
    )


def _other_rules(expected: Expectations) -> tuple[_Rule, ...]:
    cost_usd = expected.highest_cost_per_hour_usd * COST_SLACK
    latency_s = expected.latency_p95_s * LATENCY_SLACK
    by_bucket = "sum by (le) (rate(llm_request_latency_seconds_bucket[5m]))"
    errors = 'sum(rate(semantic_cache_requests_total{result="error"}[5m]))'
    return (
        _Rule(
            "LLMCostPerHourHigh",
            f"sum(rate(llm_cost_dollars_total[1h])) * 3600 > {cost_usd:.6g}",
            "2h",
            "warning",
            'Models cost ${{ $value | printf "%.2f" }} an hour; the audit expects at most '
            f"${expected.highest_cost_per_hour_usd:.2f} in the busiest one.",
        ),
        _Rule(
            "LLMLatencyHigh",
            f"histogram_quantile(0.95, {by_bucket}) > {latency_s:.6g}",
            "15m",
            "warning",
            'The 95th percentile of latency is {{ $value | printf "%.1f" }} s; the log\'s own '
            f"was {expected.latency_p95_s:.1f} s.",
        ),
        _Rule(
            "SemanticCacheErrors",
            f"{errors} / sum(rate(semantic_cache_requests_total[5m])) > {ERROR_SHARE}",
            "10m",
            "critical",
            "{{ $value | humanizePercentage }} of requests fail in the cache or the model.",
        ),
    )
