"""The sweep at several TTLs: a row for each threshold, a column for each TTL."""

from collections.abc import Callable, Sequence

from costaudit.contracts.semantic import LifetimeSweep, SweepPoint
from costaudit.report.numbers import seconds, share, similarity, usd
from costaudit.report.table import Table


def lifetime_tables(sweeps: Sequence[LifetimeSweep]) -> tuple[Table, ...]:
    """Set hits, wrong answers and money side by side; nothing where there is one TTL."""
    if not sweeps:
        return ()
    return (
        _table("Hit share by similarity and TTL", sweeps, _raw),
        _table("Wrong answers served by similarity and TTL, of all requests", sweeps, _unsafe),
        _table("Net saving a month by similarity and TTL", sweeps, _net),
    )


def _table(title: str, sweeps: Sequence[LifetimeSweep], cell: Callable[[SweepPoint], str]) -> Table:
    by_row = zip(*(one.points for one in sweeps), strict=True)
    return Table(
        title,
        ("similarity", *(_name(one) for one in sweeps)),
        tuple(
            (similarity(points[0].min_similarity), *(cell(point) for point in points))
            for points in by_row
        ),
        left=(),
    )


def _name(sweep: LifetimeSweep) -> str:
    return "no TTL" if sweep.ttl_s is None else f"{seconds(sweep.ttl_s)} {sweep.ttl_kind}"


def _raw(point: SweepPoint) -> str:
    return share(point.raw_hit_share.value)


def _unsafe(point: SweepPoint) -> str:
    found = point.unsafe_served_share
    return "not known" if found is None else share(found.value)


def _net(point: SweepPoint) -> str:
    return usd(point.net_saved.usd)
