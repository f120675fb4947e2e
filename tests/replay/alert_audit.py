"""An audit with round numbers, for alerts and dashboards."""

from dataclasses import replace
from decimal import Decimal

from costaudit.contracts.audit import Audit
from costaudit.contracts.grades import Estimate, Money
from tests.report.sample_audit import AUDIT


def small_audit() -> Audit:
    """Return an audit: in 30 days $720 after (at most $900), $360 saved, 40 % hits (36 to 44 %)."""
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
