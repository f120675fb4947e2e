"""The requests that are left after some levers, with their tokens and rates."""

from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.grades import Pricing
from costaudit.contracts.requests import INPUT_CLASSES, SENT_TO_PROVIDER, TOKEN_CLASSES
from costaudit.contracts.run_dir import column
from costaudit.contracts.spend import CostBreakdown
from costaudit.costing.cost import cost, per_request_usd, plain
from costaudit.costing.tariff import Tariff


def anchored(logged: pl.DataFrame, as_is: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Return the logged classes plus `after` - `as_is`, request by request.

    So a simulation that disagrees with the bill adds or loses no money. No class falls below 0, and
    a request's input changes by as much as in the simulation: what a class can't lose is taken from
    the classes that gained, the cheapest first.
    """
    starts = range(0, max(len(logged), 1), _AT_ONCE)
    frames = (logged, as_is, after)
    return pl.concat(_anchored(*(one.slice(at, _AT_ONCE) for one in frames)) for at in starts)


_AT_ONCE = 200_000  # requests whose classes are laid out as numbers at once


def _anchored(logged: pl.DataFrame, as_is: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    truth = logged.select(TOKEN_CLASSES).to_numpy()
    change = after.select(TOKEN_CLASSES).to_numpy() - as_is.select(TOKEN_CLASSES).to_numpy()
    output = np.maximum(truth[:, -1] + change[:, -1], 0)
    given = np.maximum(truth + change, 0)[:, :-1]
    target = np.maximum(truth[:, :-1].sum(axis=1) + change[:, :-1].sum(axis=1), 0)
    gained = np.maximum(change[:, :-1], 0)
    excess = given.sum(axis=1) - target
    for most in (gained, given):  # first from gains, then from all
        for i in _CHEAPEST_FIRST:
            taken = np.minimum(np.minimum(most[:, i], given[:, i]), excess)
            given[:, i] -= taken
            excess -= taken
    inputs = pl.DataFrame(given, schema=list(INPUT_CLASSES), orient="row")
    return inputs.with_columns(output_tokens=output)


_CHEAPEST_FIRST = tuple(
    INPUT_CLASSES.index(name)
    for name in (
        "cache_read_tokens",
        "input_uncached_tokens",
        "cache_write_other_tokens",
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
    )
)


_IN_PROMPT = (
    "cache_read_tokens",
    "cache_write_1h_tokens",
    "cache_write_5m_tokens",
    "cache_write_other_tokens",
    "input_uncached_tokens",
)  # in the order in which a prompt's tokens are billed: its head is read, its tail is new
_READ_OR_NEW = ("cache_read_tokens", "input_uncached_tokens")
_CACHED = tuple(name for name in TOKEN_CLASSES if name.startswith("cache_"))


@dataclass(frozen=True)
class Traffic:
    """The traffic after some levers, aligned with the log's requests."""

    tariff: Tariff
    sent: pl.Series  # Boolean: whether a provider gets the request
    classes: pl.DataFrame  # TOKEN_CLASSES; 0 for requests that are not sent
    pricing: Pricing

    @staticmethod
    def logged(tariff: Tariff) -> "Traffic":
        """Return the logged traffic; a gateway's hits are not sent."""
        sent = tariff.requests.select(SENT_TO_PROVIDER).to_series()
        return Traffic(tariff, sent, tariff.classes, tariff.billed)

    def cost(self) -> CostBreakdown:
        """Return the bill of all requests."""
        tokens = cost(self.classes, self.pricing, self.sent)
        usd = plain(Decimal(self.tariff.unit_usd.filter(self.sent).sum() or 0))
        return replace(tokens, total_usd=plain(tokens.total_usd + usd), units_usd=usd)

    def request_usd(self) -> npt.NDArray[np.float64]:
        """Return each request's bill, in float64; 0 if it is not sent or has no price."""
        tokens = np.nan_to_num(per_request_usd(self.classes, self.pricing), copy=False)
        tokens += self.tariff.unit_floats
        tokens *= self.sent.to_numpy()
        return tokens

    def simulated(
        self, as_is: pl.DataFrame, removed: pl.Series, classes: pl.DataFrame | None
    ) -> "Traffic":
        """Return the traffic without `removed`; billed classes change as in the simulation."""
        sent = self.sent & ~removed
        moved = self.classes if classes is None else anchored(self.classes, as_is, classes)
        return Traffic(self.tariff, sent, _only(moved, sent), self.pricing)

    def under(self, effect: pl.DataFrame) -> "Traffic":
        """Return the traffic after an EFFECT, applied to units whose new price is lower."""
        touched = effect["unit"].is_not_null() & self.sent
        pricing = self.tariff.changed(effect, self.pricing)
        known = pricing.rate_ids.is_null() == self.pricing.rate_ids.is_null()
        classes = _changed(self.classes, effect)
        kept = touched & known & self._saves(effect["unit"], classes, pricing)
        rate_ids = pricing.rate_ids.zip_with(kept, self.pricing.rate_ids)
        return Traffic(
            self.tariff,
            self.sent & ~(kept & effect["removed"].fill_null(False)),
            classes.select(
                column(classes, name).zip_with(kept, column(self.classes, name))
                for name in TOKEN_CLASSES
            ),
            Pricing(pricing.rates, rate_ids),
        )

    def changed_from(self, before: "Traffic") -> pl.Series:
        """Return which requests were sent before, and now have another bill or none."""
        moved = self.pricing.rate_ids.ne_missing(before.pricing.rate_ids) | (
            self.sent != before.sent
        )
        for name in TOKEN_CLASSES:
            moved |= column(self.classes, name) != column(before.classes, name)
        return moved & before.sent

    def _saves(self, unit: pl.Series, classes: pl.DataFrame, pricing: Pricing) -> pl.Series:
        """Return whether a request's unit is cheaper; one without a known price changes nothing."""
        frame = pl.DataFrame(
            {
                "unit": unit,
                "before": per_request_usd(self.classes, self.pricing),
                "after": per_request_usd(classes, pricing),
            }
        )
        gain = pl.col("before") - pl.col("after")
        return frame.select(gain.fill_nan(0).sum().over("unit") > 0).to_series()


def unexplained(spend_usd: Decimal, logged: Traffic) -> Decimal:
    """Return the part of the spend that no rate explains; no lever changes it."""
    return spend_usd - logged.cost().total_usd


def _only(classes: pl.DataFrame, sent: pl.Series) -> pl.DataFrame:
    return classes.select(
        pl.when(sent).then(pl.col(name)).otherwise(0).alias(name) for name in TOKEN_CLASSES
    )


def _cut(classes: pl.DataFrame, effect: pl.DataFrame) -> pl.DataFrame:
    """Return classes without the tokens that an EFFECT cuts from prompts.

    A provider bills the start of a prompt as read, the next part as written, and the rest at the
    full price; a cut reduces each class by what it overlaps. If the start becomes shorter than the
    provider's minimum, it is billed at the full price.
    """
    cuts = effect["cuts"]
    if cuts.null_count() == len(cuts):
        return classes
    ends = [pl.sum_horizontal(_IN_PROMPT[: i + 1]).alias(n) for i, n in enumerate(_IN_PROMPT)]
    placed = classes.select(*ends, *(pl.col(name).alias(f"_{name}") for name in _IN_PROMPT))
    flat = (
        placed.with_row_index("row").with_columns(cuts).drop_nulls("cuts")
        .explode("cuts").unnest("cuts")
    )  # fmt: skip
    first, last = pl.col("start"), pl.col("start") + pl.col("tokens")
    begins = {name: pl.col(name) - pl.col(f"_{name}") for name in _IN_PROMPT}
    overlap = {
        name: pl.min_horizontal(last, name) - pl.max_horizontal(first, begins[name])
        for name in _IN_PROMPT
    }
    taken = flat.group_by("row").agg(
        both.clip(lower_bound=0).sum().alias(name) for name, both in overlap.items()
    )
    rows = pl.DataFrame({"row": pl.int_range(len(classes), eager=True, dtype=pl.UInt32)})
    less = rows.join(taken, on="row", how="left", maintain_order="left")
    shorter = classes.with_columns(
        (classes[name] - less[name].fill_null(0)).clip(lower_bound=0).alias(name)
        for name in _IN_PROMPT
    ).with_columns(is_cut=cuts.is_not_null(), least=effect["least_read_tokens"].fill_null(0))
    read = pl.col("cache_read_tokens")
    lost = pl.when(pl.col("is_cut") & (read < pl.col("least"))).then(read).otherwise(0)
    return shorter.select(
        *(name for name in classes.columns if name not in _READ_OR_NEW),
        cache_read_tokens=read - lost,
        input_uncached_tokens=pl.col("input_uncached_tokens") + lost,
    ).select(classes.columns)


def _changed(classes: pl.DataFrame, effect: pl.DataFrame) -> pl.DataFrame:
    """Return token classes after an EFFECT, for every row that it names."""
    cold = effect["cold"].fill_null(False)
    unbilled = effect["removed"].fill_null(False) | effect["prepaid"].fill_null(False)
    cached = pl.sum_horizontal(_CACHED)
    output = pl.min_horizontal("output_tokens", effect["output_tokens"])
    classes = _cut(classes, effect)
    warm = classes.with_columns(
        pl.when(cold)
        .then(pl.col("input_uncached_tokens") + cached)
        .otherwise("input_uncached_tokens")
        .alias("input_uncached_tokens"),
        *(pl.when(cold).then(0).otherwise(name).alias(name) for name in _CACHED),
        output.alias("output_tokens"),
    )
    return _only(warm, ~unbilled)
