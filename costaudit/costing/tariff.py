"""Price requests as billed, and as they would cost if sent differently."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.grades import MTOK, PER_MTOK, Pricing, format_rate
from costaudit.contracts.requests import GATEWAY_SERVED, TOKEN_CLASSES
from costaudit.contracts.run_dir import column, lean
from costaudit.contracts.spend import CostMode
from costaudit.costing.cost import billed_classes
from costaudit.costing.logged import Basis, basis, bills, calibrate
from costaudit.costing.prices.lookup import price_requests

_CHANGES = ("provider", "model", "is_batch", "service_tier")


@dataclass(frozen=True)
class Tariff:
    """The prices of one log."""

    requests: pl.DataFrame
    classes: pl.DataFrame  # TOKEN_CLASSES as billed
    table: Pricing  # by the price table
    billed: Pricing  # by the log's own costs if those count
    basis: Basis
    overrides: Path | None
    as_of: date | None

    @property
    def unit_usd(self) -> pl.Series:
        """Return the cost of each request's units other than text: their part of its bill."""
        return column(self._units, "units")

    @property
    def unit_floats(self) -> npt.NDArray[np.float64]:
        """Return `unit_usd` in float64."""
        return self._units.select(pl.col("units").cast(pl.Float64)).to_series().to_numpy()

    @cached_property
    def _units(self) -> pl.DataFrame:
        served = self.requests.select(GATEWAY_SERVED).to_series()
        listed = self.table.units().fill_null(0).set(served, 0)
        units = self.basis.units.zip_with(self.basis.logged.is_not_null(), listed)
        return lean(units.to_frame("units"))

    @cached_property
    def request_usd(self) -> npt.NDArray[np.float64]:
        """Return each request's bill, in float64; 0 if it is unknown."""
        return bills(self.requests, self.classes, self.table, self.basis)

    def changed(self, effect: pl.DataFrame, current: Pricing) -> Pricing:
        """Return the pricing after an EFFECT; requests that it does not change keep `current`.

        If a request's bill differs from the price table by a factor, the factor is kept.
        """
        moved = effect.select(
            pl.any_horizontal(pl.col(_CHANGES).is_not_null()) & pl.col("unit").is_not_null()
        ).to_series()
        if not moved.any():
            return current
        sent = self.requests.with_columns(
            pl.coalesce(effect[name], pl.col(name)).alias(name) for name in _CHANGES
        ).filter(moved)
        priced = price_requests(sent, self.overrides, self.as_of)
        scaled = self._as_discounted(priced, moved)
        first = len(current.rates)
        rates = scaled.rates.with_columns(pl.col("rate_id") + first)
        moved_ids = current.rate_ids.to_frame("rate_id").with_row_index("row")
        new = moved_ids.filter(moved).with_columns(rate_id=scaled.rate_ids + first)
        rate_ids = moved_ids.update(new, on="row", include_nulls=True)["rate_id"]
        return Pricing(pl.concat([current.rates, rates]), rate_ids)

    def _as_discounted(self, priced: Pricing, moved: pl.Series) -> Pricing:
        schema = {"table_id": pl.Int32, "factor": pl.Float64}
        ratios = pl.DataFrame(list(self.basis.ratios.items()), schema=schema, orient="row")
        from_log = pl.DataFrame({"table_id": self.table.rate_ids}).with_columns(
            pl.when(self.basis.logged.is_not_null()).then(pl.col("table_id"))
        )
        factor = from_log.filter(moved).join(
            ratios, on="table_id", how="left", maintain_order="left"
        )["factor"]
        frame = pl.DataFrame({"rate_id": priced.rate_ids, "factor": factor.fill_null(1.0)})
        pairs = frame.unique().drop_nulls("rate_id").sort("rate_id", "factor")
        pairs = pairs.with_columns(new_id=pl.int_range(pl.len(), dtype=pl.Int32))
        joined = frame.join(pairs, on=["rate_id", "factor"], how="left", maintain_order="left")
        rates = pairs.join(priced.rates, on="rate_id", maintain_order="left")
        rows = [_times(row) for row in rates.iter_rows(named=True)]
        return Pricing(pl.DataFrame(rows, schema=priced.rates.schema), joined["new_id"])


def _times(row: dict[str, object]) -> dict[str, object]:
    factor = Decimal(str(row["factor"]))
    prices = {name: format_rate(Decimal(str(row[name])) * factor) for name in PER_MTOK}
    return {**row, **prices, "rate_id": row["new_id"]}


def tariff(
    requests: pl.DataFrame,
    table: Pricing,
    cost_mode: CostMode = "auto",
    overrides: Path | None = None,
    as_of: date | None = None,
) -> Tariff:
    """Return a log's prices; `table` comes from `price_requests` with the same options."""
    classes = billed_classes(requests)
    counted = basis(requests, classes, table, cost_mode)
    billed = calibrate(requests, classes, table, counted)
    return Tariff(requests, classes, table, billed, counted, overrides, as_of)


_MULTIPLIED = {
    "cache_read_per_mtok": "read",
    "cache_write_5m_per_mtok": "5m",
    "cache_write_1h_per_mtok": "1h",
    "cache_write_other_per_mtok": "30m",
}


def under_multipliers(pricing: Pricing, multipliers: Mapping[str, str]) -> Pricing:
    """Return a pricing whose cache classes follow a provider's rules; input and output prices stay.

    `multipliers` are decimal multiples of the input price, by read and lifetime; `any` means every
    lifetime. A lifetime without one costs the input price.
    """
    rows = []
    for row in pricing.rates.iter_rows(named=True):
        price = Decimal(row["input_per_mtok"])
        scaled = {
            column: format_rate(price * Decimal(_multiplier(multipliers, name)))
            for column, name in _MULTIPLIED.items()
        }
        rows.append({**row, **scaled})
    return Pricing(pl.DataFrame(rows, schema=pricing.rates.schema), pricing.rate_ids)


def lost_usd(lost: pl.DataFrame, pricing: Pricing) -> Decimal:
    """Return the extra cost of tokens billed in one class instead of another.

    `lost` has the columns rate_id, paid, instead (both token classes) and tokens; rows without a
    rate are left out.
    """
    rates = pricing.rates_by_id
    place = {name: number for number, name in enumerate(TOKEN_CLASSES)}
    total = Decimal(0)
    for row in lost.drop_nulls("rate_id").iter_rows(named=True):
        rate = rates[row["rate_id"]]
        total += row["tokens"] * (rate[place[row["paid"]]] - rate[place[row["instead"]]]) / MTOK
    return total


def _multiplier(multipliers: Mapping[str, str], name: str) -> str:
    return multipliers.get(name, multipliers.get("any", "1"))
