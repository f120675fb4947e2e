"""A Grafana dashboard with an audit's own numbers as its guide lines."""

import json
from dataclasses import dataclass
from typing import Any

from costaudit.replay.expectations import Expectations

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
