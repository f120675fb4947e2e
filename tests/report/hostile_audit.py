"""An audit with an attack in every text, and one that is far too large."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec

from costaudit.contracts.audit import Audit
from tests.report.sample_audit import AUDIT
from tests.report.sample_semantic import point

ATTACKS = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    '=HYPERLINK("http://evil.example")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    "[bold red]rich[/bold red]",
    "\x1b[31mansi\x1b[0m\x07",
    "\u202egnp.exe",
    "{{ 7 * 7 }}{% for x in y %}",
    "| a | b |\n# heading\n- [link](javascript:alert(1))",
    "`code` @octocat #1 https://evil.example www.evil.example",
    "javascript:alert(1)",
    "line one\r\nline two",
)
_FIXED = {
    "schema_version", "severity", "grade", "evidence", "period", "first_ts", "last_ts", "group",
    "day", "outcome", "claim", "recommended_kind", "cost_mode", "ttl_kind", "status", "factor",
    "lifetime", "part", "lacks",
}  # fmt: skip
_FIXED_THERE = {
    "breakers.kind", "rules.kind", "rows.kind", "latencies.name",
    "differences.predicted", "differences.measured", "differences.reason",
}  # fmt: skip


def hostile_audit() -> Audit:
    """Return the sample audit with every free text replaced by one of the attacks in turn."""
    turn = iter(range(1_000_000))

    def attack(value: Any, key: str, within: str = "") -> Any:
        if isinstance(value, str):
            is_fixed = key in _FIXED or f"{within}.{key}" in _FIXED_THERE
            return value if is_fixed else ATTACKS[next(turn) % len(ATTACKS)]
        if isinstance(value, dict):
            return {k: attack(v, k, key) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [attack(item, key, within) for item in value]
        return value

    data = msgspec.to_builtins(AUDIT, builtin_types=(Decimal,))
    audit = msgspec.convert({k: attack(v, k) for k, v in data.items()}, Audit)
    names = {f"{attack} {n}": 10 - n for n, attack in enumerate(ATTACKS)}
    groups = {
        name: tuple(
            replace(row, group=ATTACKS[n % len(ATTACKS)]) if name in ("tenant", "model") else row
            for n, row in enumerate(rows)
        )
        for name, rows in audit.spend.by.items()
    }
    return replace(
        audit,
        spend=replace(audit.spend, by=groups),
        quality=replace(audit.quality, skip_reasons=names, statuses=names),
    )


def huge_audit(rows: int = 4_200) -> Audit:
    """Return an audit with long texts and thousands of clusters, templates, tenants and so on."""
    assert AUDIT.semantic and AUDIT.prefix
    tenant = AUDIT.spend.by["tenant"][0]
    text = "word " * 2_000
    pairs = tuple(replace(one, question=text, answer=text) for one in AUDIT.semantic.worst_pairs)
    points = tuple(
        replace(
            point(0.7 + 0.29 * n / rows, 100_000 - n, 0.004, "5000", "4000"),
            recommended=n == rows // 3 + 1,
        )
        for n in range(rows)
    )
    clusters = tuple(
        replace(AUDIT.semantic.clusters[0], cluster_id=f"c-{n:05}", pairs=pairs * 2)
        for n in range(rows)
    )
    return replace(
        AUDIT,
        findings=tuple(replace(AUDIT.findings[0], code=f"f-{n:05}") for n in range(rows)),
        spend=replace(
            AUDIT.spend,
            by=AUDIT.spend.by
            | {"tenant": tuple(replace(tenant, group=f"tenant-{n:05}") for n in range(rows))},
        ),
        semantic=replace(
            AUDIT.semantic, points=points, clusters=clusters, worst_pairs=pairs * rows
        ),
        prefix=replace(AUDIT.prefix, templates=AUDIT.prefix.templates * (rows // 2)),
    )
