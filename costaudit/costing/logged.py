"""Check the log's own costs: unit, plausibility, and the rates that reproduce them."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.grades import MTOK, PER_MTOK, RATES, Pricing, format_rate
from costaudit.contracts.requests import SENT_TO_PROVIDER, TOKEN_CLASSES
from costaudit.contracts.run_dir import column, lean
from costaudit.contracts.spend import CostMode
from costaudit.costing.cost import Tokens, per_request_usd
from costaudit.costing.prices.wrong_costs import (
    Counts,
    fault_counts,
    first_faults,
    rates_with_faults,
    wrong_rows,
)

USD = pl.Decimal(38, 15)
UNITS = {
    "usd": Decimal(1),
    "cents": Decimal("0.01"),
    "usd_e6": Decimal("1e-6"),
    "usd_e9": Decimal("1e-9"),
}
_GROUP = ["rate_id", "provider", "model"]
_DIGITS = 12  # decimal places of dollars to which the units' part is rounded
LOW_RATIO, HIGH_RATIO = 0.8, 1.25  # range of logged / recomputed that auto accepts
_SEEN_AT = (
    (1e9, 0.1, "logged in billionths of a dollar"),
    (1e6, 0.1, "logged in millionths of a dollar"),
    (100.0, 0.1, "logged in cents"),
    (0.01, 0.1, "logged in hundreds of dollars, or the tokens are counted twice"),
    (0.5, 0.06, "billed as batch or flex, which the log does not say"),
    (2.0, 0.06, "billed as priority or in a long-context band, which the log does not say"),
    (0.1, 0.2, "billed as cache reads, which the log does not say"),
)


@dataclass(frozen=True)
class Basis:
    """The logged costs that count, and their ratios to the price table."""

    costs: pl.DataFrame  # `logged` and `units`, see below; columns with one value take no memory
    ratios: dict[int, float]  # rate id → logged / recomputed, over requests that have both
    faults: dict[int, str] = field(default_factory=dict)  # rate id → why logged costs don't count

    @property
    def logged(self) -> pl.Series:
        """USD; null if a request is priced from its tokens."""
        return self.costs.select("logged").to_series()

    @property
    def units(self) -> pl.Series:
        """USD of `logged` that pay for units other than text; 0 without a logged cost."""
        return self.costs.select("units").to_series()


def logged_usd(requests: pl.DataFrame) -> pl.Series:
    """Return the logged costs in dollars; null without a cost, or if it makes no sense."""
    if column(requests, "logged_cost").null_count() == len(requests):
        return pl.Series("logged", [None], USD).new_from_index(0, len(requests))
    cost = pl.col("logged_cost").cast(USD, strict=False)
    unit = pl.col("cost_unit").fill_null("usd").str.to_lowercase()
    in_usd = pl.lit(None, USD)
    for name, factor in UNITS.items():
        in_usd = pl.when(unit == name).then((cost * factor).cast(USD)).otherwise(in_usd)
    kept = pl.when(SENT_TO_PROVIDER & (in_usd >= 0)).then(in_usd)
    return requests.select(kept.alias("logged")).to_series()


def foreign_costs(requests: pl.DataFrame) -> dict[str, int]:
    """Return how many calls sent to a provider have a logged cost in each unit without a rate."""
    unit = pl.col("cost_unit").str.to_lowercase()
    costs = requests.filter(
        SENT_TO_PROVIDER, pl.col("logged_cost").is_not_null(), ~unit.is_in(list(UNITS))
    )
    return dict(costs.select(unit)["cost_unit"].value_counts().sort("cost_unit").iter_rows())


@dataclass
class CostEvidence:
    """What logged costs show about each rate. The evidence of parts of a log adds up."""

    # of the calls at each rate with a logged cost and a known price: tokens, units and logged cost
    sums: dict[Hashable, tuple[Tokens, Decimal, Decimal]]
    faults: dict[str, Counts]  # see `fault_counts`

    def add(self, other: "CostEvidence") -> None:
        """Add the evidence of another part, with the same names of rates."""
        for rate, (tokens, units, logged) in other.sums.items():
            before = self.sums.get(rate, ((0,) * len(tokens), Decimal(0), Decimal(0)))
            summed = tuple(one + two for one, two in zip(before[0], tokens, strict=True))
            self.sums[rate] = (summed, before[1] + units, before[2] + logged)
        for words, counts in other.faults.items():
            own = self.faults.setdefault(words, {})
            for rate, (calls, shown) in counts.items():
                known = own.get(rate, (0, 0))
                own[rate] = (known[0] + calls, known[1] + shown)

    def named(self, name: Mapping[int, Hashable]) -> "CostEvidence":
        """Return the same, with other names of rates."""
        return CostEvidence(
            {name[rate]: one for rate, one in self.sums.items()},  # type: ignore[index]
            {
                words: {name[rate]: one for rate, one in counts.items()}  # type: ignore[index]
                for words, counts in self.faults.items()
            },
        )


@dataclass(frozen=True)
class CostVerdict:
    """What follows from the evidence of a whole log."""

    ratios: dict[Hashable, float]  # rate → logged / recomputed
    faults: dict[str, frozenset[Hashable]]  # fault → the rates that show it

    @property
    def near(self) -> list[Hashable]:
        """Return the rates with which the logged costs agree."""
        return [rate for rate, one in self.ratios.items() if LOW_RATIO <= one <= HIGH_RATIO]


def cost_evidence(requests: pl.DataFrame, classes: pl.DataFrame, pricing: Pricing) -> CostEvidence:
    """Return what the logged costs of requests show; rates are named by their ids."""
    logged = logged_usd(requests)
    if logged.null_count() == len(logged):
        return CostEvidence({}, {})
    return _evidence(_frame(classes, logged, pricing), pricing)


def cost_verdict(evidence: CostEvidence, rates: Mapping[Any, tuple[Decimal, ...]]) -> CostVerdict:
    """Return what evidence shows; `rates` are the prices per million tokens of each rate."""
    ratios: dict[Hashable, float] = {}
    for rate, (tokens, units, logged) in evidence.sums.items():
        recomputed = sum(
            (n * usd for n, usd in zip(tokens, rates[rate], strict=True)), units * MTOK
        )
        if recomputed:
            ratios[rate] = float(logged * MTOK / recomputed)
    return CostVerdict(ratios, rates_with_faults(evidence.faults))


def basis(
    requests: pl.DataFrame,
    classes: pl.DataFrame,
    pricing: Pricing,
    mode: CostMode,
    verdict: CostVerdict | None = None,
) -> Basis:
    """Return which requests' logged costs count.

    A user's price or discount takes precedence. `recomputed` uses no logged cost, and `logged` uses
    every one. `auto` uses a logged cost above 0 if the requests at the same rate agree with it
    (LOW_RATIO to HIGH_RATIO) or no price is known, and if no known fault of a logger explains it
    (see `wrong_rows`). A call with a unit whose price is unknown may cost any amount above its
    tokens, unless all rates with a known price contradict the log. `verdict` is that of the whole
    log, if the requests are a part of it; rates are named by their ids in `pricing`.
    """
    given = pricing.rates.filter(pl.col("given").fill_null(False))["rate_id"].to_list()
    logged = logged_usd(requests)
    if logged.null_count() == len(logged):
        return Basis(_costs(logged, no_units(len(logged))), {})
    frame = _frame(classes, logged, pricing)
    rates = pricing.rates_by_id
    verdict = verdict or cost_verdict(_evidence(frame, pricing), rates)
    ratios = {rate: verdict.ratios[rate] for rate in rates if rate in verdict.ratios}
    if mode == "recomputed":
        return _basis(frame, logged.set(logged.is_not_null(), None), ratios)
    own = frame["rate_id"].is_in(given).fill_null(False)
    logged = logged.set(own, None)
    if mode == "logged":
        return _basis(frame, logged, ratios)
    near = [rate for rate in verdict.near if rate in rates]
    rate_id = pl.col("rate_id")
    unseen = ~rate_id.is_in(list(ratios)) & pl.lit(bool(verdict.near) or not verdict.ratios)
    least = LOW_RATIO * pl.col("tokens_usd").fill_null(0)
    is_open = pl.col("unit_usd").is_null() & unseen & (pl.col("logged").cast(pl.Float64) >= least)
    plausible = frame.select(
        (pl.col("logged") > 0) & (rate_id.is_null() | rate_id.is_in(near) | is_open)
    ).to_series()
    wrong = wrong_rows(frame, rates, verdict.faults)
    counted = logged.set(~plausible.fill_null(False) | wrong, None)
    return _basis(frame, counted, ratios, first_faults(rates, verdict.faults))


def bills(
    requests: pl.DataFrame, classes: pl.DataFrame, pricing: Pricing, basis: Basis
) -> npt.NDArray[np.float64]:
    """Return each request's bill in float64; 0 if it is unknown."""
    tokens = pl.Series(np.nan_to_num(per_request_usd(classes, pricing)))
    priced = tokens + pricing.units().fill_null(0).cast(pl.Float64)
    served = requests.select(~SENT_TO_PROVIDER).to_series()
    every = basis.logged.cast(pl.Float64).fill_null(priced).set(served, 0.0)
    return np.asarray(every.to_numpy(), np.float64)


def _frame(classes: pl.DataFrame, logged: pl.Series, pricing: Pricing) -> pl.DataFrame:
    return classes.with_columns(
        _tokens_usd(classes, logged, pricing), rate_id=pricing.rate_ids, logged=logged,
        unit_usd=pricing.units(),
    )  # fmt: skip


def _evidence(frame: pl.DataFrame, pricing: Pricing) -> CostEvidence:
    known = pl.col("rate_id").is_not_null() & pl.col("unit_usd").is_not_null()
    both = frame.filter((pl.col("logged") > 0) & known)
    sums = both.group_by("rate_id").agg(pl.col(*TOKEN_CLASSES, "unit_usd", "logged").sum())
    return CostEvidence(
        {
            rate: (tuple(tokens), units, logged)
            for rate, *tokens, units, logged in sums.sort("rate_id").iter_rows()
        },
        fault_counts(frame, pricing.rates_by_id),
    )


def _tokens_usd(classes: pl.DataFrame, logged: pl.Series, pricing: Pricing) -> pl.Series:
    """Return the list price of each request's tokens; null without a rate, or if no cost is logged.

    It only divides a logged cost, and float64 is enough for that.
    """
    if logged.null_count() == len(logged):
        return pl.Series("tokens_usd", [None], pl.Float64).new_from_index(0, len(logged))
    return pl.Series("tokens_usd", per_request_usd(classes, pricing)).fill_nan(None)


def _basis(
    frame: pl.DataFrame,
    logged: pl.Series,
    ratios: dict[int, float],
    faults: dict[int, str] | None = None,
) -> Basis:
    """Return the basis with each logged cost divided between its tokens and its units.

    Both have their shares of the list price. A unit without a price costs what the tokens leave,
    and a call without tokens pays for units alone.
    """
    if logged.null_count() == len(logged):
        return Basis(_costs(logged, no_units(len(logged))), ratios, faults or {})
    listed = pl.col("unit_usd").cast(pl.Float64)
    whole = pl.col("logged").cast(pl.Float64)
    split = frame.with_columns(logged=logged).select(
        whole,
        usd=pl.when(listed == 0)
        .then(0.0)
        .when(pl.sum_horizontal(TOKEN_CLASSES) == 0)
        .then(whole)
        .when(listed.is_null())
        .then(whole - pl.col("tokens_usd"))
        .otherwise(whole * (listed / (pl.col("tokens_usd") + listed))),
    )
    usd = pl.col("usd").clip(0.0, whole).round(_DIGITS).cast(USD)
    units = split.select(units=usd.fill_null(0)).to_series()
    return Basis(_costs(logged, units), ratios, faults or {})


def _costs(logged: pl.Series, units: pl.Series) -> pl.DataFrame:
    return lean(pl.DataFrame({"logged": logged, "units": units}))


def no_units(count: int) -> pl.Series:
    """Return a cost of 0 for the units of each of `count` calls."""
    return pl.Series("usd", [Decimal(0)], USD).new_from_index(0, count)


def ratio_note(ratio: float | None) -> str:
    """Return a text about the ratio of logged to recomputed cost; "" if they agree."""
    if ratio is None or 0.98 <= ratio <= 1.02:
        return ""
    for value, tolerance, meaning in _SEEN_AT:
        if abs(ratio / value - 1) <= tolerance:
            return f"logged cost is {ratio:.3g} x the price table: probably {meaning}"
    if 1.02 < ratio < 2:
        return f"logged cost is {ratio:.3g} x the price table: cache writes, a region or a fee?"
    if LOW_RATIO <= ratio < 0.98:
        return f"logged cost is {ratio:.3g} x the price table: a discount?"
    return f"logged cost is {ratio:.3g} x the price table, for a reason the log does not give"


def calibrate(
    requests: pl.DataFrame, classes: pl.DataFrame, pricing: Pricing, basis: Basis
) -> Pricing:
    """Return the pricing with rates scaled so that they reproduce the logged costs that count.

    If no price is known but a cost is logged, every token of the model costs the same.
    """
    if basis.logged.null_count() == len(basis.logged):
        return pricing
    unpriced = pl.col("rate_id").is_null()
    frame = (
        requests.select("provider", "model")
        .with_columns(*classes, rate_id=pricing.rate_ids, logged=basis.logged - basis.units)
        .with_columns(pl.when(unpriced).then(pl.col("provider", "model")))
    )
    counted = frame.filter(pl.col("logged").is_not_null())
    sums = (
        counted.group_by(_GROUP)
        .agg(pl.col(*TOKEN_CLASSES, "logged").sum())
        .sort(_GROUP, nulls_last=True)
    )
    rows = [row for row in sums.iter_rows(named=True) if any(row[n] for n in TOKEN_CLASSES)]
    if not rows:
        return pricing
    first = len(pricing.rates)
    old = {row["rate_id"]: row for row in pricing.rates.iter_rows(named=True)}
    scaled = [_scaled(row, old.get(row["rate_id"]), first + i) for i, row in enumerate(rows)]
    ids = pl.DataFrame(
        [(*(row[name] for name in _GROUP), first + i) for i, row in enumerate(rows)],
        schema={**{name: sums.schema[name] for name in _GROUP}, "new_id": pl.Int32},
        orient="row",
    )
    joined = frame.join(ids, on=_GROUP, how="left", nulls_equal=True, maintain_order="left")
    new_id = pl.when(pl.col("logged").is_not_null()).then(pl.col("new_id"))
    rate_ids = joined.select(pl.coalesce(new_id, "rate_id").alias("rate_id")).to_series()
    return Pricing(pl.concat([pricing.rates, pl.DataFrame(scaled, schema=RATES)]), rate_ids)


def _scaled(sums: dict[str, Any], rate: dict[str, Any] | None, rate_id: int) -> dict[str, Any]:
    logged: Decimal = sums["logged"]
    tokens = [sums[name] for name in TOKEN_CLASSES]
    if rate is None:
        same = format_rate(logged * MTOK / sum(tokens))
        note = "no known price: the logged cost spread evenly over the tokens"
        named = {"provider": sums["provider"], "model": sums["model"], "priced_as": sums["model"]}
        unknown = {"service_tier": "", "is_batch": False, "region": None, "over_tokens": 0}
        evenly = dict.fromkeys(PER_MTOK, same)
        return {"rate_id": rate_id, **named, **unknown, "since": None, **evenly,
                "source": "the log", "note": note, "given": False}  # fmt: skip
    prices = {name: Decimal(rate[name]) for name in PER_MTOK}
    recomputed = sum((n * r for n, r in zip(tokens, prices.values(), strict=True)), Decimal(0))
    factor = logged * MTOK / recomputed if recomputed else Decimal(1)
    scaled = {name: format_rate(price * factor) for name, price in prices.items()}
    return {**rate, **scaled, "rate_id": rate_id, "source": f"{rate['source']}; x the log's own"}
