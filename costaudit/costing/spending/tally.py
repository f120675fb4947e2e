"""Add up calls by group and rate: sums of parts of a log, which add up to those of the log.

Tokens and dollars are added as integers and decimals, so that the parts of a log may be any.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from itertools import chain
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.grades import MTOK, RATES, Pricing
from costaudit.contracts.requests import HOUR, SENT_TO_PROVIDER, TOKEN_CLASSES
from costaudit.costing.cost import Kind, Sum, billed_classes
from costaudit.costing.logged import USD, Basis

R = TypeVar("R")
Groups = Mapping[str, pl.Expr | pl.Series]
Floats = npt.NDArray[np.float64]
PER_USD = 10**10  # parts of a dollar in which bills of hours are added, as integers
SUMMED = ("requests", *TOKEN_CLASSES, "logged", "units", "failed")
OF_CELLS: Mapping[str, pl.Expr] = {  # groupings that the calls of a cell share
    "model": pl.col("model"),
    "provider": pl.col("provider"),
    "day": pl.from_epoch(pl.col("hour") * 3_600).dt.date(),
    "hour": (pl.col("hour") % 24).cast(pl.Int8),
}
_CELL = ("hour", "provider", "model")
_NOTE = RATES.names().index("note")
_MOST_PARTS = 16  # tables of one grouping that wait to be added up


class Stretch(Protocol):
    """Calls of a log: all of them or a part, priced as the whole log is."""

    @property
    def requests(self) -> pl.DataFrame:
        """Rows of REQUESTS."""

    @property
    def classes(self) -> pl.DataFrame:
        """TOKEN_CLASSES as billed."""

    @property
    def pricing(self) -> Pricing:
        """The rates of the calls."""

    @property
    def basis(self) -> Basis:
        """The logged costs that count."""


@dataclass(frozen=True)
class Priced:
    """Calls with their prices."""

    requests: pl.DataFrame
    pricing: Pricing
    basis: Basis

    @cached_property
    def classes(self) -> pl.DataFrame:
        """TOKEN_CLASSES as billed."""
        return billed_classes(self.requests)

    def part(self, here: slice | npt.NDArray[np.int64]) -> "Priced":
        """Return some of the calls: a stretch, or rows."""
        basis = replace(self.basis, costs=self.basis.costs[here])
        return Priced(self.requests[here], self.pricing.of(here), basis)


class Log(Protocol):
    """A log that may be too large for the memory."""

    def map(self, function: Callable[[Stretch, Groups], R], groups: Groups) -> Iterator[R]:
        """Yield `function` of each part of the log and its groups; both must be picklable."""


@dataclass(frozen=True)
class Tally:
    """Sums of calls that were sent to a provider; `kind` is a place in `kinds`."""

    pricing: Pricing  # of no request
    kinds: tuple[Kind, ...]
    by: dict[str, pl.DataFrame]  # for each grouping without OF_CELLS: group, kind, SUMMED
    cells: pl.DataFrame  # hour since the epoch, provider, model, kind, SUMMED
    rates: pl.DataFrame  # rate_id, first and last time, requests
    ratios: dict[int, float]  # as in Basis, like `faults`
    faults: dict[int, str]
    gateway_hits: int = 0
    unpriced: int = 0  # calls with tokens or units of unknown price, and no logged cost that counts
    unpriced_tokens: int = 0
    unpriced_models: frozenset[str] = frozenset()
    unpriced_units: bool = False  # whether units are among what has no price
    uncounted: int = 0  # answered calls without counts or a logged cost
    counted: int = 0  # calls with tokens
    least_latency: float | None = None

    def table(self, name: str) -> pl.DataFrame:
        """Return the sums of a grouping: group ("" for calls of none), kind, SUMMED."""
        table = self.by[name] if name in self.by else self._of_cells(OF_CELLS[name])
        return _added([table.with_columns(_named(table["group"]))], ("group", "kind"))

    def groups(self, table: pl.DataFrame) -> dict[str, tuple[list[Sum], int]]:
        """Return the sums of each group of a table and its failed calls, in order."""
        found: dict[str, tuple[list[Sum], int]] = {}
        for group, one, failed in self._sums(table, ("group",)):
            sums, before = found.get(group[0], ([], 0))
            found[group[0]] = ([*sums, one], before + failed)
        return found

    def bills(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return the bill of each group of a table, for ranking, in order: group, parts.

        It is in parts of a dollar, to which the calls of a kind are rounded.
        """
        prices = self.pricing.rates_by_id
        none = (Decimal(0),) * len(TOKEN_CLASSES)
        rates = [prices.get(one.rate_id, none) if one.rate_id is not None else none
                 for one in self.kinds]  # fmt: skip
        kinds = pl.DataFrame(
            {
                "kind": pl.Series(range(len(rates)), dtype=pl.Int32),
                "is_logged": pl.Series([one.is_logged for one in self.kinds], dtype=pl.Boolean),
                **{
                    f"{name}_rate": pl.Series([float(one[n]) for one in rates], dtype=pl.Float64)
                    for n, name in enumerate(TOKEN_CLASSES)
                },
            }
        )
        listed = pl.sum_horizontal(pl.col(name) * pl.col(f"{name}_rate") for name in TOKEN_CLASSES)
        usd = (
            pl.when("is_logged")
            .then(pl.col("logged").cast(pl.Float64))
            .otherwise(listed / MTOK + pl.col("units").cast(pl.Float64))
        )
        priced = table.join(kinds, on="kind", maintain_order="left")
        return (
            priced.select("group", parts=(usd * PER_USD).round().cast(pl.Int64))
            .group_by("group").agg(pl.col("parts").sum()).sort("group")
        )  # fmt: skip

    def daily(self) -> dict[tuple[str, ...], list[Sum]]:
        """Return the sums by day, provider and model."""
        days = self.cells.with_columns(OF_CELLS["day"].alias("day"))
        table = days.with_columns(_named(days[name]) for name in ("day", "provider", "model"))
        found: dict[tuple[str, ...], list[Sum]] = {}
        for group, one, _ in self._sums(table, ("day", "provider", "model")):
            found.setdefault(group, []).append(one)
        return found

    def _of_cells(self, group: pl.Expr) -> pl.DataFrame:
        return self.cells.select(group.alias("group"), "kind", *SUMMED)

    def _sums(
        self, table: pl.DataFrame, names: tuple[str, ...]
    ) -> Iterator[tuple[tuple[str, ...], Sum, int]]:
        """Yield the group, the sum and the failed calls of each group and kind, in order."""
        ordered = _added([table], (*names, "kind")).sort(*names, "kind")
        for row in ordered.select(*names, "kind", *SUMMED).iter_rows():
            kind, requests, *tokens, logged, units, failed = row[len(names) :]
            one = Sum(self.kinds[kind], requests, tuple(tokens), logged, units)
            yield row[: len(names)], one, failed


def _named(group: pl.Series) -> pl.Series:
    text = group.cast(pl.String)
    return (text.str.zfill(2) if group.dtype == pl.Int8 else text).fill_null("")


def tally(stretch: Stretch, groups: Groups) -> Tally:
    """Add up the calls of a stretch, by each grouping."""
    requests, pricing = stretch.requests, stretch.pricing
    kinds, kind = _kinds(stretch)
    names = [name for name in groups if name not in OF_CELLS]
    frame = requests.select(
        "provider", "model", "ts", "latency_ms", "usage_source",
        sent=SENT_TO_PROVIDER, ok=pl.col("status") == "ok",
        failed=(pl.col("status") == "error").fill_null(False).cast(pl.Int64),
        hour=HOUR,
        **{f"by_{name}": groups[name] for name in names},
    ).with_columns(
        *stretch.classes, kind=kind, rate_id=pricing.rate_ids,
        logged=stretch.basis.logged, units=_unit_usd(stretch),
        is_open=pricing.units().is_null(),
    )  # fmt: skip
    sent = frame if frame["sent"].all() else frame.filter("sent")
    tokens = pl.sum_horizontal(TOKEN_CLASSES)
    no_price = (pl.col("rate_id").is_null() & (tokens > 0)) | pl.col("is_open")
    unpriced = sent.filter(pl.col("logged").is_null() & no_price)
    uncounted = pl.col("logged").is_null() & pl.col("ok") & (pl.col("usage_source") == "missing")
    told = sent.select(
        uncounted=uncounted.sum(), counted=(tokens > 0).sum(), least=pl.col("latency_ms").min()
    ).row(0)
    each = _calls(sent)
    return Tally(
        pricing=replace(pricing, rate_ids=pricing.rate_ids.clear(), unit_usd=None),
        kinds=kinds,
        by={
            name: _added([each.with_columns(group=sent[f"by_{name}"])], ("group", "kind"))
            for name in names
        },
        cells=_added([each.with_columns(sent.select(_CELL))], (*_CELL, "kind")),
        rates=sent.group_by("rate_id")
        .agg(first=pl.col("ts").min(), last=pl.col("ts").max(), requests=pl.len())
        .drop_nulls("rate_id"),
        ratios=stretch.basis.ratios,
        faults=stretch.basis.faults,
        gateway_hits=len(frame) - len(sent),
        unpriced=len(unpriced),
        unpriced_tokens=int(unpriced.select(tokens.sum()).item()),
        unpriced_models=frozenset(unpriced["model"].cast(pl.String).fill_null("").unique()),
        unpriced_units=bool(unpriced["is_open"].any()),
        uncounted=told[0],
        counted=told[1],
        least_latency=told[2],
    )


def _unit_usd(stretch: Stretch) -> pl.Series:
    """Return the cost of each call's units: a part of its logged cost if that counts."""
    listed = stretch.pricing.units()
    return stretch.basis.units.zip_with(stretch.basis.logged.is_not_null(), listed)


def _kinds(stretch: Stretch) -> tuple[tuple[Kind, ...], pl.Series]:
    """Return the kinds of a stretch's calls, and the place of each call's."""
    logged = stretch.basis.logged.is_not_null().to_numpy()
    open_ = stretch.pricing.units().is_null().to_numpy()
    of_rate = stretch.pricing.rate_ids.cast(pl.Int64).fill_null(-1).to_numpy() + 1
    number = 3 * of_rate + np.where(logged, 1, 2 * open_)  # at most one of both
    used = np.flatnonzero(np.bincount(number))
    place = np.zeros(int(number.max(initial=0)) + 1, np.int32)
    place[used] = np.arange(len(used))
    kinds = tuple(
        Kind(one // 3 - 1 if one > 2 else None, one % 3 == 1, one % 3 == 2) for one in used.tolist()
    )
    return kinds, pl.Series(place[number])


def _calls(sent: pl.DataFrame) -> pl.DataFrame:
    """Return calls as sums of one call each."""
    return sent.select(
        "kind",
        *TOKEN_CLASSES,
        pl.lit(1, pl.Int64).alias("requests"),
        pl.col("logged").fill_null(0),
        pl.col("units").fill_null(0),
        "failed",
    )


def _added(tables: list[pl.DataFrame], keys: Sequence[str]) -> pl.DataFrame:
    """Add up tables by keys; decimals, which are slow, only if any is not 0."""
    every = pl.concat(tables) if len(tables) > 1 else tables[0]
    values = [name for name in every.columns if name not in keys]
    zero = [
        name
        for name in values
        if every.schema[name] == USD and not every.select((pl.col(name) != 0).any()).item()
    ]
    summed = every.group_by(keys).agg(pl.col(name).sum() for name in values if name not in zero)
    return summed.with_columns(pl.lit(0, USD).alias(name) for name in zero).select(*keys, *values)


class Running:
    """The sum of tables by keys, added up as they come; their texts may be enumerations."""

    def __init__(self, *keys: str) -> None:
        self._keys = keys
        self._waiting: list[pl.DataFrame] = []

    def add(self, table: pl.DataFrame) -> None:
        """Add a table, whose other columns are numbers."""
        texts = pl.selectors.by_dtype(pl.Enum, pl.Categorical)
        self._waiting.append(table.with_columns(texts.cast(pl.String)))
        if len(self._waiting) > _MOST_PARTS:
            self._waiting = [self.sum()]

    def sum(self) -> pl.DataFrame:
        """Return the sum so far, of one table or more."""
        return _added(self._waiting, self._keys)


def together(tallies: Iterable[Tally]) -> Tally:
    """Add up one or more tallies; rates and kinds are numbered anew."""
    every = iter(tallies)
    first = next(every)
    second = next(every, None)
    if second is None:
        return first
    total = _Total(first)
    for one in chain([second], every):
        total.add(one)
    return total.sum()


Place = tuple[object, ...]  # what a rate is for, see Pricing


class _Total:
    """Adds up tallies whose rates have numbers of their own."""

    def __init__(self, first: Tally) -> None:
        self._last = first
        self._rates: dict[Place, tuple[object, ...]] = {}
        self._used: dict[Place, list[tuple[datetime | None, datetime | None, int]]] = {}
        self._ratios: dict[Place, float] = {}
        self._faults: dict[Place, str] = {}
        self._kinds: dict[tuple[Place | None, bool, bool], int] = {}
        self._cells = Running(*_CELL, "kind")
        self._by = {name: Running("group", "kind") for name in first.by}
        self._told: list[Tally] = []
        self.add(first)

    def add(self, one: Tally) -> None:
        pricing = one.pricing
        ids = pricing.rates["rate_id"].to_list()
        own = pricing.places if len(pricing.places) == len(ids) else tuple((n,) for n in ids)
        places = dict(zip(ids, own, strict=True))
        for place, row in zip(own, pricing.rates.rows(), strict=True):
            known = self._rates.get(place, row)
            self._rates[place] = max(known, row, key=lambda each: len(str(each[_NOTE])))
        for rate_id, *used in one.rates.iter_rows():
            self._used.setdefault(places[rate_id], []).append((used[0], used[1], used[2]))
        self._ratios |= {places[rate_id]: ratio for rate_id, ratio in one.ratios.items()}
        self._faults |= {places[rate_id]: fault for rate_id, fault in one.faults.items()}
        numbers = [
            self._kinds.setdefault(
                (None if kind.rate_id is None else places[kind.rate_id], *kind[1:]),
                len(self._kinds),
            )
            for kind in one.kinds
        ]
        renumbered = pl.lit(pl.Series("kind", numbers, pl.Int32)).gather(pl.col("kind"))
        self._cells.add(one.cells.with_columns(renumbered.alias("kind")))
        for name, table in one.by.items():
            self._by[name].add(table.with_columns(renumbered.alias("kind")))
        self._told.append(replace(one, by={}, cells=one.cells.clear(), rates=one.rates.clear()))

    def sum(self) -> Tally:
        order = sorted(self._rates, key=lambda place: [(one is None, one) for one in place])
        id_of = {place: number for number, place in enumerate(order)}
        rows = [(number, *self._rates[place][1:]) for number, place in enumerate(order)]
        used = [
            (
                id_of[place],
                min((one[0] for one in parts if one[0]), default=None),
                max((one[1] for one in parts if one[1]), default=None),
                sum(one[2] for one in parts),
            )
            for place, parts in self._used.items()
        ]
        told = self._told
        units = {name for one in told for name in one.pricing.unpriced_units}
        least = [one.least_latency for one in told if one.least_latency is not None]
        return Tally(
            pricing=Pricing(
                pl.DataFrame(rows, schema=RATES, orient="row"),
                self._last.pricing.rate_ids,
                unpriced_units=tuple(sorted(units)),
                places=tuple(order),
            ),
            kinds=tuple(
                Kind(None if place is None else id_of[place], *rest) for place, *rest in self._kinds
            ),
            by={name: tables.sum() for name, tables in self._by.items()},
            cells=self._cells.sum(),
            rates=pl.DataFrame(used, schema=self._last.rates.schema, orient="row"),
            ratios={id_of[place]: ratio for place, ratio in self._ratios.items()},
            faults={id_of[place]: fault for place, fault in self._faults.items()},
            gateway_hits=sum(one.gateway_hits for one in told),
            unpriced=sum(one.unpriced for one in told),
            unpriced_tokens=sum(one.unpriced_tokens for one in told),
            unpriced_models=frozenset().union(*(one.unpriced_models for one in told)),
            unpriced_units=any(one.unpriced_units for one in told),
            uncounted=sum(one.uncounted for one in told),
            counted=sum(one.counted for one in told),
            least_latency=min(least, default=None),
        )
