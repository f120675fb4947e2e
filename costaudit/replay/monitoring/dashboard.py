"""Write a Grafana dashboard that shows an audit's predictions as lines."""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from costaudit.contracts.audit import Audit
from costaudit.contracts.grades import Estimate
from costaudit.contracts.semantic import SemanticSection

HOURS = 24
USUAL_LATENCY_S = 5.0  # the limit of the guide in costing/claims.py, for logs without latencies
LEAST_SHARE = 0.05  # minimum share of the cost of an endpoint that sets the latency limit


@dataclass(frozen=True)
class Expectations:
    """Numbers of one audit; None if unknown."""

    hit_rate_percent: float | None  # of lookups, at the recommended threshold
    lowest_hit_rate_percent: float | None  # lower end of its interval
    highest_hit_rate_percent: float | None
    cost_per_hour_usd: float  # after the plan, in a mean hour
    saved_per_hour_usd: float
    latency_p95_s: float  # of the slowest endpoint that matters, before


def expectations(audit: Audit) -> Expectations:
    """Return an audit's predictions."""
    verdict, month_hours = audit.verdict, audit.ledger.month_days * HOURS
    after, saving = verdict.after, verdict.saving
    rate = _hit_share(audit.semantic) if audit.semantic is not None else None
    percents = (None, None, None) if rate is None else _percents(rate)
    return Expectations(
        hit_rate_percent=percents[0],
        lowest_hit_rate_percent=percents[1],
        highest_hit_rate_percent=percents[2],
        cost_per_hour_usd=_hourly(after.usd, month_hours),
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


def _slowest(audit: Audit) -> float:
    found = [
        row.latency_p95_ms / 1000
        for row in audit.spend.by.get("endpoint", ())
        if row.latency_p95_ms is not None and row.share >= LEAST_SHARE
    ]
    return max(found, default=USUAL_LATENCY_S)


SOURCES = {
    "lookups": ('semantic_cache_requests_total{result=~"hit|miss"}',
                "litellm_cache_hits_metric_total", "litellm_cache_misses_metric_total"),
    "hits": ('semantic_cache_requests_total{result="hit"}', "litellm_cache_hits_metric_total"),
    "errors": ('semantic_cache_requests_total{result="error"}',
               "litellm_proxy_failed_requests_metric_total"),
    "requests": ("semantic_cache_requests_total", "litellm_proxy_total_requests_metric_total"),
    "answers": ('semantic_cache_requests_total{result=~"miss|bypass"}',
                "litellm_cache_misses_metric_total"),
    "cost": ("llm_cost_dollars_total", "litellm_spend_metric_total"),
    "read": ('llm_tokens_total{type="cache_read"}', "litellm_input_cached_tokens_metric_total"),
    "input": ('llm_tokens_total{type=~"input|cache_read|cache_write"}',
              "litellm_input_tokens_metric_total"),
}  # what is recorded → the exporter's own name, then LiteLLM's, which are added up  # fmt: skip


SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class _Panel:
    title: str
    unit: str  # Grafana's name of it
    queries: tuple[tuple[str, str], ...]  # PromQL, legend
    line: float | None = None  # the audit's prediction, drawn as a threshold
    note: str = ""


def dashboard(expected: Expectations) -> bytes:
    """Return a dashboard as JSON, ready to import."""
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
    hits, lookups = (
        " or ".join(
            " + ".join(f"sum(increase({one}[1h]))" for one in part)
            for part in (SOURCES[name][:1], SOURCES[name][1:])
        )
        for name in ("hits", "lookups")
    )
    rate = f"({hits}) / ({lookups})"
    p95 = "histogram_quantile(0.95, sum by (le) (rate({}_bucket[5m])))"
    return (
        _Panel(
            "Cache hit rate",
            "percent",
            ((f"100 * ({rate})", "measured"),),
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
