"""Choose the groups that are rows of a breakdown, and find their latencies and months."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl

from costaudit.contracts.grades import Money, micro_usd
from costaudit.contracts.requests import HOUR, SENT_TO_PROVIDER
from costaudit.contracts.run_dir import column
from costaudit.contracts.spend import CostBreakdown
from costaudit.costing.cost import added
from costaudit.costing.groups.codes import coded
from costaudit.costing.groups.latency import Ints, Latencies, QuantileCells, Quantiles
from costaudit.costing.groups.ranks import FEWEST, RANKED, first_rank, ranks
from costaudit.costing.logged import bills
from costaudit.costing.months.month import Month
from costaudit.costing.spending.tally import PER_USD, Groups, Log, Running, Stretch, Tally

TOP = 200  # rows per breakdown; all others are one row
_HAVE_MONTHS = ("endpoint", "tenant", "model")
_ROWS = {"group": pl.String, "row": pl.Int64}


@dataclass(frozen=True)
class Shown:
    """The groups of a grouping that are rows, in order."""

    names: tuple[str, ...]
    costs: tuple[CostBreakdown, ...]
    failed: tuple[int, ...]
    row: pl.DataFrame  # group, row: of groups, or members of ranks, that are not in the last one
    has_month: bool  # whether the rows have their cost per month

    def code(self, calls: pl.DataFrame, one: pl.Expr | pl.Series) -> Ints:
        """Return the row of each call."""
        code, names = coded(calls.select(one).to_series())
        found = pl.DataFrame({"group": names}, schema={"group": pl.String}).join(
            self.row, on="group", how="left", maintain_order="left"
        )
        row: Ints = found["row"].fill_null(len(self.names) - 1).to_numpy()[code]
        return row


def shown(
    sums: Tally, groups: Groups, month: Month | None, optional: Collection[str] = ()
) -> dict[str, Shown]:
    """Return the rows of each grouping (see `spend_of`).

    The most expensive groups come first; days, hours and ranks are in their own order.
    """
    has_month = month is not None and month.facts.is_month
    found: dict[str, Shown] = {}
    for name in groups:
        table = sums.table(name)
        if name in optional and table["group"].eq("").all():
            continue
        if name in RANKED:
            one = _ranked(sums, table)
        else:
            one = _top(sums, table, name, has_month=has_month and name in _HAVE_MONTHS)
        if one is not None:
            found[name] = one
    return found


def _top(sums: Tally, table: pl.DataFrame, name: str, *, has_month: bool) -> Shown:
    rates = sums.pricing.rates_by_id
    groups = sums.groups(table)
    rows = [(group, added(one, rates), failed) for group, (one, failed) in groups.items()]
    place = [(group, number) for number, (group, _, _) in enumerate(rows)]
    if name not in ("day", "hour"):
        rows.sort(key=lambda row: (-row[1].total_usd, row[0]))
        place = [(group, number) for number, (group, _, _) in enumerate(rows)]
        if len(rows) > TOP:
            others = [groups[group] for group, _, _ in rows[TOP - 1 :]]
            every = added([one for summed, _ in others for one in summed], rates)
            rows[TOP - 1 :] = [("(other)", every, sum(failed for _, failed in others))]
            place = place[: TOP - 1]
    return _as_shown(rows, pl.DataFrame(place, schema=_ROWS, orient="row"), has_month=has_month)


def _ranked(sums: Tally, table: pl.DataFrame) -> Shown | None:
    """Return the groups of ranks; None with fewer than FEWEST members."""
    members = sums.bills(table.filter(pl.col("group") != ""))
    if len(members) < FEWEST:
        return None
    members = members.select("group", label=ranks(members["parts"]))
    labelled = table.join(members, on="group", how="left").with_columns(
        group=pl.col("label").fill_null("")
    )
    rates = sums.pricing.rates_by_id
    groups = sums.groups(labelled.drop("label"))
    rows = [
        (label, added(groups[label][0], rates), groups[label][1])
        for label in sorted(groups, key=first_rank)
    ]
    number = pl.DataFrame(
        [(label, place) for place, (label, _, _) in enumerate(rows)],
        schema={"label": pl.String, "row": pl.Int64}, orient="row",
    )  # fmt: skip
    every = pl.concat([members, pl.DataFrame({"group": [""], "label": [""]})])
    row = every.join(number, on="label").select(*_ROWS)
    return _as_shown(rows, row, has_month=False)


def _as_shown(
    rows: list[tuple[str, CostBreakdown, int]], row: pl.DataFrame, *, has_month: bool
) -> Shown:
    names, costs, failed = zip(*rows, strict=True) if rows else ((), (), ())
    return Shown(names, costs, failed, row, has_month)


@dataclass(frozen=True)
class _Sent:
    """The calls of a stretch that were sent to a provider, with the row of each by grouping."""

    calls: pl.DataFrame
    rows: pl.Series | None  # which of the stretch's calls they are; None if all are
    codes: dict[str, Ints]

    @classmethod
    def of(cls, stretch: Stretch, groups: Groups, every: Mapping[str, Shown]) -> "_Sent":
        sent = stretch.requests.select(SENT_TO_PROVIDER).to_series()
        rows = None if sent.all() else sent
        calls = stretch.requests if rows is None else stretch.requests.filter(rows)
        codes = {}
        for name, one in every.items():
            group = groups[name]
            if rows is not None and isinstance(group, pl.Series):
                group = group.filter(rows)
            codes[name] = one.code(calls, group)
        return cls(calls, rows, codes)

    def latencies(self, least: float) -> Latencies:
        return Latencies(column(self.calls, "latency_ms"), least)


@dataclass(frozen=True)
class _Rest:
    """What is known of a stretch's calls once it is known which groups are rows."""

    latencies: dict[str, pl.DataFrame]  # by grouping, see Latencies.counts
    hours: dict[str, pl.DataFrame]  # group (its row), hour, parts of a dollar


def _rest(
    stretch: Stretch, groups: Groups, every: Mapping[str, Shown], least: float | None
) -> _Rest:
    sent = _Sent.of(stretch, groups, every)
    latencies: dict[str, pl.DataFrame] = {}
    hours: dict[str, pl.DataFrame] = {}
    if least is not None:
        timed = sent.latencies(least)
        latencies = {name: timed.counts(code) for name, code in sent.codes.items()}
    if any(one.has_month for one in every.values()):
        usd = bills(stretch.requests, stretch.classes, stretch.pricing, stretch.basis)
        parts = np.rint((usd if sent.rows is None else usd[sent.rows.to_numpy()]) * PER_USD)
        by_hour = sent.calls.select(hour=HOUR, parts=pl.Series(parts).cast(pl.Int64))
        hours = {
            name: by_hour.group_by(pl.Series("group", code), "hour").agg(pl.col("parts").sum())
            for name, code in sent.codes.items()
            if every[name].has_month
        }
    return _Rest(latencies, hours)


def _latencies(
    stretch: Stretch, groups: Groups, every: Mapping[str, Shown], least: float,
    wanted: Mapping[str, Ints],
) -> dict[str, pl.DataFrame]:  # fmt: skip
    sent = _Sent.of(stretch, groups, every)
    timed = sent.latencies(least)
    return {name: timed.values(code, wanted[name]) for name, code in sent.codes.items()}


class Details:
    """The latencies and the months of rows, for which the log is read once or twice again."""

    def __init__(
        self, log: Log, groups: Groups, every: Mapping[str, Shown], least: float | None,
        month: Month | None,
    ) -> None:  # fmt: skip
        self._month = month
        self._hours: dict[str, pl.DataFrame] = {}
        self._quantiles: dict[str, Quantiles] = {}
        if least is None and not any(one.has_month for one in every.values()):
            return
        latencies = {name: Running("cell") for name in every}
        hours = {name: Running("group", "hour") for name, one in every.items() if one.has_month}
        for part in log.map(partial(_rest, every=every, least=least), groups):
            for name, table in part.latencies.items():
                latencies[name].add(table)
            for name, table in part.hours.items():
                hours[name].add(table)
        self._hours = {
            name: one.sum().sort("group", "hour").with_columns(usd=pl.col("parts") / PER_USD)
            for name, one in hours.items()
        }
        if least is None:
            return
        cells = {
            name: QuantileCells(latencies[name].sum(), len(one.names))
            for name, one in every.items()
        }
        wanted = {name: one.wanted for name, one in cells.items()}
        values = list(log.map(partial(_latencies, every=every, least=least, wanted=wanted), groups))
        for name, one in cells.items():
            self._quantiles[name] = one.quantiles(part[name] for part in values)

    def latencies(self, name: str, row: int) -> tuple[float | None, float | None]:
        """Return the median and the 95th percentile of a row, in milliseconds."""
        if name not in self._quantiles:
            return None, None
        p50, p95 = self._quantiles[name]
        return p50[row], p95[row]

    def months(self, name: str, rows: int) -> Sequence[Money | None]:
        """Return the cost of each row per month; None if it is not known."""
        if name not in self._hours or self._month is None:
            return [None] * rows
        daily = self._month.by_group(self._hours[name], rows)
        return [self._month.ranged(micro_usd(days.sum()), days, "estimated") for days in daily]
