"""What an audit expects of the time after it, per hour: the numbers that monitoring watches."""

from dataclasses import dataclass
from decimal import Decimal

from costaudit.contracts.audit import Audit
from costaudit.contracts.grades import Estimate
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
