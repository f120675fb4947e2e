"""Explain a change of spend: an exact split into factors, unusual days, longer prompts."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import NamedTuple

import numpy as np
import polars as pl

from costaudit.contracts.forecast import Cause, Driver, Factor, Inflation, Spike
from costaudit.contracts.grades import micro_usd
from costaudit.contracts.requests import INPUT_CLASSES, TOKEN_CLASSES
from costaudit.contracts.run_dir import column
from costaudit.costing.groups.codes import Coded, coded
from costaudit.costing.months.calendar import Floats, Ints, summed

_FACTORS: tuple[Factor, ...] = ("requests", "tokens per request", "mix of models", "prices")
_SPIKE_SPREADS, _SPIKE_SHARE = 4.0, 0.3  # minimum excess over the usual day of its class
_SPIKES, _FEW_DAYS = 5, 6
_MAD = 1.4826  # median absolute deviation → standard deviation
_LONGER, _SURE = 0.1, 5.0  # minimum growth of prompts, as a share and in standard errors
_ABSENT = 1e-12  # in place of a share or a quantity that a month lacks
_FEWEST_A_DAY = 5  # minimum number of requests of an endpoint


Paid = tuple[Floats, Floats]  # a quantity of each request, such as output tokens, and its dollars


def drivers(
    models: pl.Series, paid: Iterable[Paid], weights: tuple[Floats, Floats]
) -> tuple[Driver, ...]:
    """Return factors that add up exactly to the change between two months.

    `paid` is what requests were billed for, one quantity after the other: tokens of each class, and
    what else they cost. `weights` are how often each request counts in the first and in the second
    month. The split is the logarithmic mean Divisia index (Ang, 2004) over models and quantities:
    it has no residual and is symmetric in time, and prices change it only if the same quantity of
    the same model costs more. A model that only one month has counts as a change of the mix.
    """
    named = coded(models)
    effects = dict.fromkeys(_FACTORS, 0.0)
    requests = [_by_model(named, weight) for weight in weights]
    counts = [of.sum() for of in requests]
    if not all(counts):
        return ()
    shares = [of / count for of, count in zip(requests, counts, strict=True)]
    change = 0.0
    for quantity, usd in paid:
        sums = [
            (_by_model(named, weight * quantity), _by_model(named, weight * usd))
            for weight in weights
        ]
        change += float(sums[1][1].sum() - sums[0][1].sum())
        for model in np.flatnonzero((sums[0][1] > 0) | (sums[1][1] > 0)).tolist():
            cells = [
                _Cell(float(count), float(share[model]), float(of[0][model]), float(of[1][model]))
                for count, share, of in zip(counts, shares, sums, strict=True)
            ]
            for factor, effect in _split(cells[0], cells[1]).items():
                effects[factor] += effect
    effects["mix of models"] += change - sum(effects.values())  # models that only one month has
    return tuple(Driver(name, micro_usd(effects[name])) for name in _FACTORS)


class _Cell(NamedTuple):
    """What one model was paid for one quantity in one month."""

    requests: float  # of all models
    share: float  # of the requests that are the model's
    quantity: float
    usd: float

    def factors(self, other: "_Cell") -> list[float]:
        """Return requests, quantity per request, share of requests and price.

        What a month lacks has the price, and a model that it lacks the quantity, of the other one.
        """
        paid = self if self.usd > 0 else other
        price = paid.usd / paid.quantity
        if not self.share:
            each = other.quantity / (other.requests * other.share)
            return [self.requests, each, _ABSENT, price]
        each = self.quantity if self.usd > 0 else other.quantity * _ABSENT
        return [self.requests, each / (self.requests * self.share), self.share, price]


def _split(first: _Cell, second: _Cell) -> dict[Factor, float]:
    """Return the effect of each factor on what one model was paid for one quantity."""
    factors = first.factors(second), second.factors(first)
    mean = _log_mean(float(np.prod(factors[1])), float(np.prod(factors[0])))
    return {
        name: mean * float(np.log(after / before))
        for name, before, after in zip(_FACTORS, *factors, strict=True)
    }


def _log_mean(one: float, other: float) -> float:
    """Return the logarithmic mean of two positive amounts, exact for close ones too."""
    low, high = sorted((one, other))
    return (high - low) / float(np.log1p((high - low) / low)) if high > low else one


def _by_model(models: Coded, values: Floats) -> Floats:
    return summed(models.code, values, len(models.names))


class _Day(NamedTuple):
    """A day with a cost far above the usual one, and the usual days of its kind."""

    number: int
    usd: float
    usual: float
    quiet: Ints


class Parts(NamedTuple):
    """The cost of requests by part of the prompt, and of their answers."""

    request: Ints  # row of the request of each part
    name: pl.Series
    usd: Floats


def spikes(
    day: pl.Series,
    usd: Floats,
    dimensions: Mapping[str, pl.Series],
    parts: Callable[[], Parts] | None = None,
) -> tuple[Spike, ...]:
    """Return days far above the usual for their weekday, and the groups that cause the excess.

    `day` holds each request's date; the first and the last day, which may be partial, are left out.
    `parts` is only called if there is such a day.
    """
    code, names = coded(day)
    cost = summed(code, usd, len(names))
    whole = np.array([number for number, name in enumerate(names) if name][1:-1], np.int64)
    if len(whole) < _FEW_DAYS:
        return ()
    weekend = np.array([date.fromisoformat(names[one]).weekday() > 4 for one in whole])
    found = [one for kind in (False, True) for one in _unusual(whole[weekend == kind], cost)]
    most = sorted(found, key=lambda one: one.usual - one.usd)[:_SPIKES]
    if not most:
        return ()
    groups = {name: _Costs(code, usd, coded(values)) for name, values in dimensions.items()}
    if parts is not None:
        request, name, of_part = parts()
        groups["part"] = _Costs(code[request], of_part, coded(name))
    return tuple(
        Spike(
            names[one.number], micro_usd(one.usd), micro_usd(one.usual), _causes(one, groups)
        )
        for one in most
    )  # fmt: skip


class _Costs(NamedTuple):
    """Costs with their days and groups."""

    day: Ints
    usd: Floats
    group: Coded


def _unusual(days: Ints, cost: Floats) -> list[_Day]:
    """Return the unusual days among those of one kind."""
    if len(days) < 3:
        return []
    own = cost[days]
    usual = float(np.median(own))
    spread = _MAD * float(np.median(np.abs(own - usual)))
    limit = usual + max(_SPIKE_SPREADS * spread, _SPIKE_SHARE * usual)
    return [
        _Day(day, float(cost[day]), usual, days[own <= limit]) for day in days[own > limit].tolist()
    ]


def _causes(day: _Day, groups: Mapping[str, _Costs]) -> tuple[Cause, ...]:
    excess = day.usd - day.usual
    causes = []
    for dimension, (day_of, usd, (code, names)) in groups.items():
        if not len(code):
            continue
        rows = np.flatnonzero(day_of == day.number)
        is_quiet = np.zeros(int(day_of.max()) + 1, np.bool_)
        is_quiet[day.quiet[day.quiet < len(is_quiet)]] = True
        usual_rows = np.flatnonzero(is_quiet[day_of])
        now = summed(code[rows], usd[rows], len(names))
        usual = summed(code[usual_rows], usd[usual_rows], len(names)) / max(len(day.quiet), 1)
        more = now - usual
        more[np.bincount(code[rows], minlength=len(names)) == 0] = -np.inf
        most = int(np.argmax(more))
        if more[most] > 0 and names[most]:
            amount = float(more[most])
            causes.append(Cause(dimension, names[most], micro_usd(amount), amount / excess))
    return tuple(sorted(causes, key=lambda one: (-one.share, one.dimension)))


def inflation(
    requests: pl.DataFrame, usd_per_token: Floats, scale: Floats
) -> tuple[Inflation, ...]:
    """Return endpoints whose prompts grew from one day on, with the part of the prompt that grew.

    `usd_per_token` is what each request paid for a token of input; `scale` is how often the request
    counts in a month.
    """
    endpoints, days = coded(column(requests, "endpoint")), coded(column(requests, "ts").dt.date())
    tokens = requests.select(pl.sum_horizontal(pl.col(INPUT_CLASSES).fill_null(0))).to_series()
    counted = (tokens > 0).to_numpy() & np.array([bool(name) for name in days.names])[days.code]
    cell = endpoints.code * len(days.names) + days.code
    size = len(endpoints.names) * len(days.names)
    shape = len(endpoints.names), len(days.names)
    each = summed(cell, counted.astype(np.float64), size).reshape(shape)
    total = summed(cell, tokens.to_numpy() * counted, size).reshape(shape)
    found = []
    for endpoint, (count, summed_up) in enumerate(zip(each, total, strict=True)):
        enough = np.flatnonzero(count >= _FEWEST_A_DAY)
        grown = _grown(summed_up[enough] / count[enough])
        if grown is None:
            continue
        place, before, after = grown
        rows = np.flatnonzero(counted & (endpoints.code == endpoint))
        later = days.code[rows] >= enough[place]
        name, by = _part(column(requests, "segments"), rows[~later], rows[later])
        usd = float((usd_per_token[rows[later]] * scale[rows[later]]).sum()) * (after - before)
        since = days.names[enough[place]]
        found.append(
            Inflation(
                endpoints.names[endpoint], since, before, after, name, by, micro_usd(usd)
            )
        )  # fmt: skip
    return tuple(sorted(found, key=lambda one: (-one.usd_month, one.endpoint)))


def _grown(mean: Floats) -> tuple[int, float, float] | None:
    """Return the first day of longer prompts, and their mean length before and from then on.

    `mean` is their mean length by day.
    """
    if len(mean) < _FEW_DAYS:
        return None
    place, error = _step(mean)
    before, after = float(mean[:place].mean()), float(mean[place:].mean())
    if after < (1 + _LONGER) * before or after - before < _SURE * error:
        return None
    return place, before, after


def _step(mean: Floats) -> tuple[int, float]:
    """Return the day from which a second mean fits a series best, and the error."""
    places = range(2, len(mean) - 1)
    left = [float(((mean[:k] - mean[:k].mean()) ** 2).sum()) for k in places]
    right = [float(((mean[k:] - mean[k:].mean()) ** 2).sum()) for k in places]
    best = int(np.argmin(np.add(left, right)))
    k = places[best]
    variance = (left[best] + right[best]) / max(len(mean) - 2, 1)
    return k, float(np.sqrt(variance * (1 / k + 1 / (len(mean) - k))))


def _part(segments: pl.Series, before: Ints, after: Ints) -> tuple[str, float]:
    """Return the role or kind of segments that grew most, and by how many tokens a request.

    `before` and `after` are the rows of requests.
    """
    means = []
    for part in (segments.gather(before), segments.gather(after)):
        flat = part.to_frame("segments").explode("segments").unnest("segments")
        if not {"role", "kind", "tokens"} <= set(flat.columns):
            return "", 0.0
        role, kind = pl.col("role").cast(pl.String), pl.col("kind").cast(pl.String)
        named = pl.when(kind == "text").then(role).otherwise(kind).fill_null("text")
        sums = flat.group_by(name=named).agg(pl.col("tokens").sum() / max(len(part), 1))
        means.append({row[0]: float(row[1] or 0.0) for row in sums.iter_rows() if row[0]})
    grown = {name: means[1][name] - means[0].get(name, 0.0) for name in means[1]}
    if not grown:
        return "", 0.0
    most = max(sorted(grown), key=lambda name: grown[name])
    return (most, grown[most]) if grown[most] > 0 else ("", 0.0)


def token_counts(classes: pl.DataFrame) -> Floats:
    """Return the billed tokens of each request, all classes added."""
    whole = classes.select(pl.sum_horizontal(TOKEN_CLASSES)).to_series()
    return np.asarray(whole.cast(pl.Float64).to_numpy(), np.float64)
