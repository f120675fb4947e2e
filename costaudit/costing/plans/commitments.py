"""Capacity that is bought for a month: the size that saves most over the log's minutes."""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.grades import Grade, micro_usd
from costaudit.contracts.ledger import EFFECT, Lever, LeverTable
from costaudit.contracts.requests import ANSWERED, IN_BATCH, INPUT_CLASSES, TS_S
from costaudit.contracts.run_dir import column
from costaudit.costing.cost import per_request_usd
from costaudit.costing.groups.codes import coded
from costaudit.costing.months.calendar import Floats, Ints
from costaudit.costing.months.month import Month
from costaudit.costing.traffic import Traffic
from costaudit.errors import InputError
from costaudit.providers.names import DATED

_STANDARD = ("standard", "default", "on_demand")
_SHOWN = 8  # sizes in the table of costs
Mask = npt.NDArray[np.bool_]
_READ = pl.col("cache_read_tokens")
# input that is not read from the cache, reads, output
_COUNTED_NAMES = ("new", "read", "output")
_COUNTED = (
    (pl.sum_horizontal(INPUT_CLASSES) - _READ).alias("new"),
    _READ.alias("read"),
    pl.col("output_tokens").alias("output"),
)


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Capacity with a fixed price: units that everyone shares, or one seat for each user."""

    name: str
    usd_month: Decimal  # of one unit
    models: dict[str, tuple[float, float]]  # name without its date → tokens of each unit in a
    # window, and how many input tokens an output token counts as
    unit: str = "unit"
    provider: str = "*"  # glob
    window_minutes: float = 1.0
    by_user: bool = False  # a seat: each user has the capacity of one unit
    least_units: int = 1
    step_units: int = 1
    read_weight: float = 1.0  # how much a token counts that is read from the prompt cache
    confirmed: bool = True  # the price and the capacity are from the seller

    def __post_init__(self) -> None:
        """Raise ValueError for sizes that can't be bought."""
        sizes = [size for pair in self.models.values() for size in pair]
        if min(self.window_minutes, self.least_units, self.step_units, *sizes) <= 0:
            raise ValueError("windows, units and tokens are above 0")
        if self.usd_month < 0 or self.read_weight < 0:
            raise ValueError("prices and weights are not below 0")


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    offer: list[Offer]


@dataclass(frozen=True)
class Commitments:
    """The offers that may be bought, after every other lever."""

    offers: tuple[Offer, ...]
    lever: str = "commitments"

    def at(self, traffic: Traffic, month: Month) -> Lever | None:
        """Return the commitments that save most on this traffic; None if none saves."""
        if not month.facts.is_month:
            return None
        named = self._models_in(column(traffic.tariff.requests, "model"))
        if not named:
            return None
        part = _Billed.of(traffic, month, named)
        sizes = [one for offer in self.offers for one in _offered(offer, part)]
        best: dict[str, _Size] = {}
        for one in sizes:
            if one.net > max(best[one.model].net if one.model in best else 0.0, 0.0):
                best[one.model] = one
        if not best:
            return None
        return _lever(list(best.values()), part)

    def _models_in(self, model: pl.Series) -> list[str]:
        """Return the models of a log, as it names them, that an offer is for."""
        sold = {name for offer in self.offers for name in offer.models}
        return [one for one in model.unique().drop_nulls() if _undated(one) in sold]


def _undated(model: str) -> str:
    return DATED.sub("", model, count=1)


def offers_in(path: Path | None) -> tuple[Offer, ...]:
    """Return the offers of a user's file, or the published ones without a file.

    Raises InputError for a file that can't be read.
    """
    if path is None:
        text = files("costaudit.costing.plans").joinpath("commitments.toml").read_text("utf-8")
        return tuple(msgspec.convert(tomllib.loads(text), _File, strict=False).offer)
    try:
        data = tomllib.loads(path.read_text("utf-8"))
        return tuple(msgspec.convert(data, _File, strict=False).offer)
    except OSError as error:
        raise _refused(f"{path} can't be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise _refused(f"{path} is no file of offers: {error}.") from None


def _refused(why: str) -> InputError:
    return InputError(
        why, hint="Each [[offer]] needs name, usd_month and [offer.models]: see docs/numbers.md."
    )


@dataclass(frozen=True)
class _Billed:
    """The calls that pay for each token and could use bought capacity."""

    calls: pl.DataFrame  # row of the request, seconds, provider, model, _COUNTED, usd a month
    requests: pl.DataFrame  # REQUESTS, all of them
    pace: Decimal

    @classmethod
    def of(cls, traffic: Traffic, month: Month, models: Sequence[str]) -> "_Billed":
        """Return answered calls of some models, with a time and a bill, at the standard tier."""
        requests = traffic.tariff.requests
        tier = pl.col("service_tier").fill_null("standard").is_in(_STANDARD)
        timed = pl.col("ts").is_not_null()
        fits = pl.col("model").is_in(models) & ANSWERED & ~IN_BATCH & tier & timed
        usd = np.nan_to_num(per_request_usd(traffic.classes, traffic.pricing)) * month.weights
        calls = requests.select(
            *(_named(requests, name) for name in ("provider", "model")),
            seconds=TS_S,
            could=fits.fill_null(False),
        )
        calls = calls.with_columns(
            *traffic.classes.select(_COUNTED), usd=pl.Series(usd), sent=traffic.sent
        )
        calls = calls.with_row_index("row").filter("could", "sent", pl.col("usd") > 0)
        return cls(calls.drop("could", "sent"), requests, month.pace)

    def only(self, holds: pl.Expr) -> "_Billed":
        """Return a part of the calls."""
        return replace(self, calls=self.calls.filter(holds))

    def of_calls(self, name: str) -> npt.NDArray[Any]:
        """Return a column of the calls."""
        return column(self.calls, name).to_numpy()

    def tokens(self, weights: Sequence[float]) -> Floats:
        """Return the weighted tokens of each call; `weights` are those of _COUNTED."""
        counted = [self.of_calls(name) for name in _COUNTED_NAMES]
        return np.asarray(np.column_stack(counted) @ np.array(weights), np.float64)

    @cached_property
    def user(self) -> Ints:
        """The number of each call's user."""
        return coded(column(self.requests, "user").gather(column(self.calls, "row"))).code


def _named(requests: pl.DataFrame, name: str) -> pl.Expr:
    """Return a column of names as an enumeration; one with one name takes no memory."""
    known = requests.select(pl.col(name).unique().drop_nulls().sort()).to_series()
    return pl.col(name).fill_null("").cast(pl.Enum(["", *known.filter(known != "")]))


@dataclass(frozen=True)
class _Size:
    """One number of units of an offer for one model, and what it saves a month."""

    offer: Offer
    model: str
    units: int
    covered: npt.NDArray[np.uint32]  # rows of the requests that the capacity serves
    covered_usd: float  # a month, by the token
    whole_usd: float  # a month: all calls of the model
    curve: tuple[tuple[int, float], ...]  # further sizes, and what they serve a month

    @property
    def price(self) -> float:
        """Return the price of a month."""
        return float(self.offer.usd_month) * self.units

    @property
    def net(self) -> float:
        """Return what it saves a month, after its price."""
        return self.covered_usd - self.price


def _offered(offer: Offer, part: _Billed) -> Iterator[_Size]:
    """Yield the best size of an offer for each of its models that the log has."""
    providers, every = (column(part.calls, name).unique() for name in ("provider", "model"))
    sold = [one for one in providers if fnmatchcase(one, offer.provider)]
    for model, (tokens, output_weight) in offer.models.items():
        named = [one for one in every if _undated(one) == model]
        mine = part.only(pl.col("provider").is_in(sold) & pl.col("model").is_in(named))
        if mine.calls.is_empty():
            continue
        needs = _needed(mine, mine.tokens((1.0, offer.read_weight, output_weight)), offer)
        if offer.by_user:
            yield _seats(offer, model, mine, needs <= tokens)
        else:
            yield _shared(offer, model, mine, needs / tokens)


def _needed(part: _Billed, tokens: Floats, offer: Offer) -> Floats:
    """Return the capacity of a window that serves each call and all calls before it there.

    A call needs its window's capacity as a whole: one that no longer fits is paid by the token.
    """
    seconds = part.of_calls("seconds")
    order = np.argsort(seconds, kind="stable")
    windows = ["window", *(["user"] if offer.by_user else [])]
    frame = pl.DataFrame(
        {
            "window": (seconds[order] // (60 * offer.window_minutes)).astype(np.int64),
            "tokens": tokens[order],
        }
    )
    if offer.by_user:
        frame = frame.with_columns(user=pl.Series(part.user[order]))
    needs = np.empty(len(order))
    needs[order] = frame.select(pl.col("tokens").cum_sum().over(windows)).to_series().to_numpy()
    return needs


def _shared(offer: Offer, model: str, part: _Billed, units: Floats) -> _Size:
    """Return the number of shared units that saves most."""
    order = np.argsort(units, kind="stable")
    usd = part.of_calls("usd")
    served = np.append(0.0, np.cumsum(usd[order]))
    most = max(int(np.ceil(units.max())), offer.least_units)
    sizes = np.arange(offer.least_units, most + offer.step_units, offer.step_units)
    covered = served[np.searchsorted(units[order], sizes, side="right")]
    best = int(np.argmax(covered - sizes * float(offer.usd_month)))
    shown = np.unique(np.append(np.linspace(0, len(sizes) - 1, _SHOWN - 1).astype(int), best))
    return _Size(
        offer, model, int(sizes[best]), part.of_calls("row")[units <= sizes[best]],
        float(covered[best]), float(usd.sum()),
        tuple((int(sizes[at]), float(covered[at])) for at in shown),
    )  # fmt: skip


def _seats(offer: Offer, model: str, part: _Billed, fits: Mask) -> _Size:
    """Return a seat for each user whom it serves for less than the tokens cost."""
    usd = part.of_calls("usd")
    served = np.bincount(part.user, usd * fits)
    worth = served > float(offer.usd_month)
    mine = fits & worth[part.user]
    ordered = np.append(0.0, np.cumsum(np.sort(served[served > 0])[::-1]))
    sizes = np.unique(np.linspace(0, len(ordered) - 1, _SHOWN).astype(int))[1:]
    return _Size(
        offer, model, int(worth.sum()), part.of_calls("row")[mine], float(usd[mine].sum()),
        float(usd.sum()), tuple((int(at), float(ordered[at])) for at in sizes),
    )  # fmt: skip


def _lever(sizes: Sequence[_Size], part: _Billed) -> Lever:
    names = [f"{one.units} × {one.offer.unit} | {one.model}" for one in sizes]
    running = {
        name: micro_usd(one.price) / part.pace for name, one in zip(names, sizes, strict=True)
    }
    number = np.full(len(part.requests), len(names), np.uint32)
    for place, one in enumerate(sizes):
        number[one.covered] = place
    unit = pl.Series("unit", names, pl.String).gather(pl.Series(number), null_on_oob=True)
    effect = pl.DataFrame({"unit": unit}).select(
        pl.col("unit") if name == "unit"
        else pl.when(pl.col("unit").is_not_null()).then(name == "prepaid" or None)
        .cast(dtype).alias(name)
        for name, dtype in EFFECT.items()
    )  # fmt: skip
    grade: Grade = "estimated" if all(one.offer.confirmed for one in sizes) else "assumed"
    bought = ", ".join(f"{one.units} × {one.offer.unit} for {one.model}" for one in sizes)
    shares = ", ".join(
        f"{one.covered_usd / one.whole_usd:.0%} of {one.model}" for one in sizes if one.whole_usd
    )
    rule = (
        "What is left after all other steps, minute by minute: bought capacity serves "
        f"{shares}, by cost; what exceeds it is paid by the token."
    )
    if grade == "assumed":
        rule += " The seller has not confirmed the price used here."
    return Lever(
        lever="commitments",
        label="Capacity that is bought for a month",
        section="levers",
        rule=rule,
        change=f"Buy {bought}, and let calls that exceed it go to the pay-as-you-go deployment.",
        risk="Capacity is paid for whether it is used or not: traffic that falls makes it a loss.",
        grade=grade,
        effect=effect,
        running_usd=running,
        evidence=tuple(_table(one) for one in sizes),
    )


def _table(one: _Size) -> LeverTable:
    """Return what each size costs a month."""
    return LeverTable(
        f"{one.offer.name}: {one.model}",
        ("units", "price a month", "calls served", "paid by the token", "all a month"),
        tuple(
            (
                f"{units:,}",
                f"${units * float(one.offer.usd_month):,.2f}",
                f"{served / one.whole_usd:.1%}",
                f"${one.whole_usd - served:,.2f}",
                f"${units * float(one.offer.usd_month) + one.whole_usd - served:,.2f}",
            )
            for units, served in ((0, 0.0), *one.curve)
        ),
    )
