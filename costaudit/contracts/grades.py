"""How well a number is known, the interval around it, and what a token of each class costs."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.contracts.requests import TOKEN_CLASSES

Grade = Literal["measured", "replayed", "simulated", "estimated", "assumed"]
GRADES: tuple[Grade, ...] = ("measured", "replayed", "simulated", "estimated", "assumed")


def weakest(grades: Iterable[Grade]) -> Grade:
    """Return the weakest grade of the parts of a total; `measured` if there are no parts."""
    return max(grades, key=GRADES.index, default="measured")


@dataclass(frozen=True)
class Estimate:
    """A share or a count, with its 95 % interval where it has one."""

    value: float
    grade: Grade
    low: float | None = None  # 95 % bounds; None where the number is exact
    high: float | None = None


_MICRO_USD = Decimal("0.000001")


def micro_usd(usd: Decimal | float) -> Decimal:
    """Round dollars, computed in floats, to millionths; nothing has no sign."""
    exact = usd if isinstance(usd, Decimal) else Decimal(repr(float(usd)))
    return exact.quantize(_MICRO_USD) + 0


@dataclass(frozen=True)
class Money:
    """An amount in US dollars, with its 95 % interval where it has one."""

    usd: Decimal
    grade: Grade
    low_usd: Decimal | None = None
    high_usd: Decimal | None = None


def nothing() -> Money:
    """Return zero dollars, with the grade `measured`."""
    return Money(Decimal(0), "measured")


_AT_ONCE = 500_000  # requests whose tokens are laid out at once
MTOK = 1_000_000  # tokens that a rate is for
PER_MTOK = (
    "input_per_mtok",
    "cache_read_per_mtok",
    "cache_write_5m_per_mtok",
    "cache_write_1h_per_mtok",
    "cache_write_other_per_mtok",
    "output_per_mtok",
)  # in the order of TOKEN_CLASSES

RATES = pl.Schema(
    {
        "rate_id": pl.Int32,
        "provider": pl.String,
        "model": pl.String,  # as logged
        "priced_as": pl.String,  # the price table's own name
        "service_tier": pl.String,
        "is_batch": pl.Boolean,
        "region": pl.String,
        "over_tokens": pl.Int64,  # context band: total input above this; 0 for the base band
        "since": pl.Date,  # first day of the rate period; null for always
        "input_per_mtok": pl.String,  # USD per million tokens, as decimals
        "cache_read_per_mtok": pl.String,
        "cache_write_5m_per_mtok": pl.String,
        "cache_write_1h_per_mtok": pl.String,
        "cache_write_other_per_mtok": pl.String,
        "output_per_mtok": pl.String,
        "source": pl.String,
        "note": pl.String,
        "given": pl.Boolean,  # the user's own price or discount
    }
)


@dataclass(frozen=True)
class Pricing:
    """The rates of a log, and the rate that prices each request."""

    rates: pl.DataFrame  # RATES, one row per (model, tier, band, period)
    rate_ids: pl.Series  # Int32, aligned with the requests; null where no price is known
    unit_usd: pl.Series | None = None  # cost of billed units that are not text, aligned; null if a
    # unit has no known price; None if no request has billed units
    unpriced_units: tuple[str, ...] = ()  # names of the units without a price
    # of each rate of the price tables: what it is for, which is the same in any part of a log
    places: tuple[tuple[object, ...], ...] = ()

    @cached_property
    def rates_by_id(self) -> dict[int, tuple[Decimal, ...]]:
        """The six prices per million tokens of each rate, in the order of TOKEN_CLASSES."""
        rows = self.rates.select("rate_id", *PER_MTOK).iter_rows()
        return {row[0]: tuple(Decimal(text) for text in row[1:]) for row in rows}

    @cached_property
    def rates_by_class(self) -> tuple[NDArray[np.float64], ...]:
        """The prices per million tokens of each class, by rate, and NaN for no rate at the end."""
        return tuple(
            np.append(self.rates[name].cast(pl.Float64).to_numpy(), np.nan) for name in PER_MTOK
        )

    def sums(
        self, classes: pl.DataFrame, mask: pl.Series | None = None
    ) -> list[tuple[int | None, int, tuple[int, ...]]]:
        """Return requests and tokens by rate: (rate id, requests, TOKEN_CLASSES).

        `classes` holds TOKEN_CLASSES of each request; `mask` selects requests. Rates without
        requests are left out.
        """
        requests = np.zeros(len(self.rates) + 1, np.int64)
        sums = np.zeros((len(TOKEN_CLASSES), len(requests)), np.int64)
        for start in range(0, len(classes), _AT_ONCE):
            here = slice(start, start + _AT_ONCE)
            picked = slice(None) if mask is None else mask[here].to_numpy()
            places = self.rate_ids[here].cast(pl.Int64).fill_null(-1).to_numpy()[picked] + 1
            requests += np.bincount(places, minlength=len(requests))
            part = classes[here]
            for row, name in zip(sums, TOKEN_CLASSES, strict=True):
                tokens = part[name].fill_null(0).to_numpy()[picked]
                row += np.bincount(places, tokens, len(row)).astype(np.int64)  # exact below 2**53
        return [
            (place - 1 if place else None, int(requests[place]), tuple(sums[:, place].tolist()))
            for place in np.flatnonzero(requests).tolist()
        ]

    def of(self, rows: NDArray[np.int64] | slice) -> "Pricing":
        """Return the pricing of some requests, by their row numbers."""
        units = None if self.unit_usd is None else self.unit_usd[rows]
        return replace(self, rate_ids=self.rate_ids[rows], unit_usd=units)

    def units(self) -> pl.Series:
        """Return the cost of each request's billed units, aligned; null where it is not known."""
        if self.unit_usd is not None:
            return self.unit_usd
        return pl.Series("unit_usd", [Decimal(0)], pl.Decimal(38, 15)).new_from_index(
            0, len(self.rate_ids)
        )


def format_rate(rate: Decimal) -> str:
    """Return a rate as text, without an exponent or trailing zeros."""
    return format(rate.normalize(), "f")
