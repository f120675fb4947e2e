"""The levers beside the caches, as tables."""

from collections.abc import Sequence

from costaudit.contracts.levers import LeverRow
from costaudit.report.numbers import count, usd
from costaudit.report.table import Table

_UNITS = 20  # units shown of each lever, those that save most first


def lever_tables(rows: Sequence[LeverRow]) -> tuple[Table, ...]:
    """The levers side by side, then each with its rule, its units and its change."""
    return (
        Table(
            "Levers, a month",
            ("lever", "requests", "alone", "in the ledger", "grade"),
            tuple(
                (
                    row.label,
                    count(row.requests),
                    usd(row.alone.usd),
                    usd(row.saved.usd),
                    row.saved.grade,
                )
                for row in rows
            ),
            left=(0, 4),
            note="alone: on the log as it is. In the ledger: on what the caches and the levers "
            "above leave, so that these add up.",
        ),
        *(_units(row) for row in rows),
    )


def _units(row: LeverRow) -> Table:
    more = f" (the first {_UNITS} of {len(row.units):,})" if len(row.units) > _UNITS else ""
    return Table(
        f"{row.label}{more}",
        ("where", "model", "requests", "spend a month", "saved alone"),
        tuple(
            (*_named(unit.unit), count(unit.requests), usd(unit.before.usd), usd(unit.alone.usd))
            for unit in row.units[:_UNITS]
        ),
        left=(0, 1),
        note=f"{row.rule} {row.change}",
    )


def _named(unit: str) -> tuple[str, str]:
    """Part an endpoint from its model; a kind of useless call has none."""
    endpoint, _, model = unit.partition(" | ")
    return endpoint or "not logged", model
