"""The sweep and what hangs on it, as tables."""

from collections.abc import Iterable

from costaudit.contracts.grades import Estimate
from costaudit.contracts.semantic import ScopeRow, SemanticSection
from costaudit.report.numbers import count, share, share_range, similarity, usd
from costaudit.report.table import Table

_RATES = ("raw", "valid", "unsafe", "95 %", "net a month")


def sweep_tables(section: SemanticSection) -> tuple[Table, ...]:
    """Thresholds, isolation and variants."""
    return (
        _thresholds(section),
        Table(
            "Isolation tax: the same sweep under wider and narrower scopes",
            ("scope", "partitions", *_RATES),
            tuple(_scope(row, " + ".join(row.scope) or "global") for row in section.scopes),
        ),
        Table(
            "The scope less one field",
            ("without", "partitions", *_RATES),
            tuple(_scope(row, row.removed) for row in section.without_field),
        ),
        Table(
            "Variants at the recommended point",
            ("variant", "entries", *_RATES),
            tuple(
                (
                    row.name,
                    count(row.peak_entries),
                    share(row.raw_hit_share.value),
                    _share(row.valid_hit_share),
                    *_unsafe(row.unsafe_served_share),
                    usd(row.net_saved.usd),
                )
                for row in section.variants
            ),
        ),
    )


def _thresholds(section: SemanticSection) -> Table:
    return Table(
        "Semantic cache by similarity threshold",
        ("similarity", "hits", "raw", "steady", "valid", "unsafe", "95 %", "net a month", ""),
        tuple(
            (
                similarity(point.min_similarity),
                count(point.hits),
                share(point.raw_hit_share.value),
                _share(point.steady_hit_share),
                _share(point.valid_hit_share),
                *_unsafe(point.unsafe_served_share),
                usd(point.net_saved.usd),
                "recommended" if point.recommended else "",
            )
            for point in section.points
        ),
        left=(8,),
        note="raw, steady and valid are shares of eligible requests; unsafe of all requests.",
    )


def _scope(row: ScopeRow, name: str) -> tuple[str, ...]:
    return (
        name,
        count(row.partitions),
        share(row.raw_hit_share.value),
        _share(row.valid_hit_share),
        *_unsafe(row.unsafe_served_share),
        usd(row.net_saved.usd),
    )


def _share(estimate: Estimate | None) -> str:
    return "not known" if estimate is None else share(estimate.value)


def _unsafe(estimate: Estimate | None) -> Iterable[str]:
    return (_share(estimate), "" if estimate is None else share_range(estimate))
