"""Prometheus alert rules whose limits are an audit's own numbers."""

from dataclasses import dataclass
from pathlib import Path

from costaudit.contracts.audit import Audit
from costaudit.contracts.run_dir import atomic_write
from costaudit.replay.dashboard import dashboard
from costaudit.replay.expectations import Expectations, expectations

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
