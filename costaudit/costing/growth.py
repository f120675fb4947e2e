"""Explain a change of spend: an exact split into factors, unusual days, longer prompts."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from costaudit.contracts.forecast import Cause, Driver, Factor, Inflation, Spike
from costaudit.contracts.grades import micro_usd
from costaudit.contracts.requests import INPUT_CLASSES, TOKEN_CLASSES
from costaudit.costing.months.calendar import Floats

_FACTORS: tuple[Factor, ...] = ("requests", "tokens per request", "mix of models", "prices")
_SPIKE_SPREADS, _SPIKE_SHARE = 4.0, 0.3  # minimum excess over the usual day of its class
_SPIKES, _FEW_DAYS = 5, 6
_MAD = 1.4826  # median absolute deviation → standard deviation
_LONGER, _SURE = 0.1, 5.0  # minimum growth of prompts, as a share and in standard errors
_FEWEST_A_DAY = 5  # minimum number of requests of an endpoint


def drivers(
    models: pl.Series, tokens: Floats, usd: Floats, weights: tuple[Floats, Floats]
) -> tuple[Driver, ...]:
    """Return factors that add up exactly to the change between two months.

    `weights` are how often each request counts in the first and in the second month. The split is
    the logarithmic mean Divisia index (Ang, 2004) over models: it has no residual and is symmetric
    in time. A model that only one month has counts as a change of the mix.
    """
    cells = [_cells(models, tokens, usd, weight) for weight in weights]
    names = sorted({*cells[0], *cells[1]})
    effects = dict.fromkeys(_FACTORS, 0.0)
    counts = [sum(one[0] for one in of.values()) for of in cells]
    if not all(counts):
        return ()
    for name in names:
        pair = [of.get(name) for of in cells]
        known = [one for one in pair if one is not None and one[0] and one[1] and one[2]]
        if not known:
            continue
        each = [one if one in known else None for one in pair]
        factors = [
            _factors(one or known[0], count, absent=one is None)
            for one, count in zip(each, counts, strict=True)
        ]
        sums = [float(np.prod(one)) for one in factors]
        mean = _log_mean(sums[1], sums[0])
        for factor, first, second in zip(_FACTORS, *factors, strict=True):
            effects[factor] += mean * float(np.log(second / first))
    change = sum(
        (sum(one[2] for one in of.values()) * sign for of, sign in zip(cells, (-1, 1), strict=True))
    )
    effects["mix of models"] += change - sum(effects.values())  # models that only one month has
    return tuple(Driver(name, micro_usd(effects[name])) for name in _FACTORS)


_ABSENT = 1e-12  # stands in for the share of a model that a month lacks


def _factors(cell: tuple[float, float, float], count: float, *, absent: bool) -> list[float]:
    """Return requests, tokens per request, share of requests and dollars per token."""
    requests, tokens, usd = cell
    share = _ABSENT if absent else requests / count
    return [count, tokens / requests, share, usd / tokens]


def _log_mean(one: float, other: float) -> float:
    """Return the logarithmic mean of two positive amounts, exact for close ones too."""
    low, high = sorted((one, other))
    return (high - low) / float(np.log1p((high - low) / low)) if high > low else one


def _cells(
    models: pl.Series, tokens: Floats, usd: Floats, weight: Floats
) -> dict[str, tuple[float, float, float]]:
    frame = pl.DataFrame(
        {"model": models.fill_null(""), "n": weight, "t": weight * tokens, "u": weight * usd}
    )
    sums = frame.group_by("model").agg(pl.col("n", "t", "u").sum())
    return {row[0]: (row[1], row[2], row[3]) for row in sums.iter_rows() if row[1]}


def spikes(day: pl.Series, usd: Floats, dimensions: Mapping[str, pl.Series]) -> tuple[Spike, ...]:
    """Return days far above the usual for their weekday, and the groups that cause the excess.

    `day` holds each request's date; the first and the last day, which may be partial, are left out.
    """
    frame = pl.DataFrame({"day": day, "usd": usd, **dimensions}).drop_nulls("day")
    days = frame.group_by("day").agg(pl.col("usd").sum()).sort("day")
    whole = days[1:-1]
    if len(whole) < _FEW_DAYS:
        return ()
    weekend = (whole["day"].dt.weekday() > 5).to_numpy()
    found = []
    for kind in (False, True):
        alike = whole.filter(pl.Series(weekend == kind))
        if len(alike) < 3:
            continue
        cost = alike["usd"].to_numpy()
        usual = float(np.median(cost))
        spread = _MAD * float(np.median(np.abs(cost - usual)))
        limit = usual + max(_SPIKE_SPREADS * spread, _SPIKE_SHARE * usual)
        quiet = alike.filter(pl.col("usd") <= limit)["day"]
        for at, amount in alike.filter(pl.col("usd") > limit).iter_rows():
            causes = _causes(frame, at, quiet, amount - usual, tuple(dimensions))
            found.append(Spike(at.isoformat(), micro_usd(amount), micro_usd(usual), causes))
    return tuple(sorted(found, key=lambda one: one.usual_usd - one.usd)[:_SPIKES])


def _causes(
    frame: pl.DataFrame, at: object, quiet: pl.Series, excess: float, names: tuple[str, ...]
) -> tuple[Cause, ...]:
    causes = []
    for name in names:
        now = frame.filter(pl.col("day") == at).group_by(name).agg(now=pl.col("usd").sum())
        before = (
            frame.filter(pl.col("day").is_in(quiet.implode()))
            .group_by(name)
            .agg(usual=pl.col("usd").sum() / max(len(quiet), 1))
        )
        both = now.join(before, on=name, how="left", nulls_equal=True).with_columns(
            more=pl.col("now") - pl.col("usual").fill_null(0)
        )
        most = both.sort("more", name, descending=[True, False], nulls_last=True).row(0, named=True)
        if most["more"] > 0 and most[name]:
            causes.append(Cause(name, most[name], micro_usd(most["more"]), most["more"] / excess))
    return tuple(sorted(causes, key=lambda one: (-one.share, one.dimension)))


def inflation(
    requests: pl.DataFrame, usd_per_token: Floats, scale: Floats
) -> tuple[Inflation, ...]:
    """Return endpoints whose prompts grew from one day on, with the part of the prompt that grew.

    `usd_per_token` is what each request paid for a token of input; `scale` is how often the request
    counts in a month.
    """
    frame = requests.select(
        "segments",
        endpoint=pl.col("endpoint").fill_null(""),
        day=pl.col("ts").dt.date(),
        input=pl.sum_horizontal(pl.col(INPUT_CLASSES).fill_null(0)),
        rate=pl.Series(usd_per_token),
        scale=pl.Series(scale),
    ).filter(pl.col("day").is_not_null() & (pl.col("input") > 0))
    days = (
        frame.group_by("endpoint", "day")
        .agg(pl.len(), pl.col("input").mean())
        .filter(pl.col("len") >= _FEWEST_A_DAY)
        .sort("endpoint", "day")
    )
    found = [_grown(part, frame) for part in days.partition_by("endpoint", maintain_order=True)]
    return tuple(
        sorted((one for one in found if one), key=lambda one: (-one.usd_month, one.endpoint))
    )


def _grown(days: pl.DataFrame, requests: pl.DataFrame) -> Inflation | None:
    """Return the growth of one endpoint's prompts; `days` has their mean length by day."""
    mean = days["input"].to_numpy()
    if len(mean) < _FEW_DAYS:
        return None
    place, error = _step(mean)
    before, after = float(mean[:place].mean()), float(mean[place:].mean())
    if after < (1 + _LONGER) * before or after - before < _SURE * error:
        return None
    endpoint, since = days["endpoint"][0], days["day"][place]
    part = requests.filter(pl.col("endpoint") == endpoint)
    later = part.filter(pl.col("day") >= since)
    name, tokens = _part(part.filter(pl.col("day") < since), later)
    growth = later.select((pl.col("rate") * pl.col("scale")).sum()).item() * (after - before)
    return Inflation(endpoint, since.isoformat(), before, after, name, tokens, micro_usd(growth))


def _step(mean: Floats) -> tuple[int, float]:
    """Return the day from which a second mean fits a series best, and the error."""
    places = range(2, len(mean) - 1)
    left = [float(((mean[:k] - mean[:k].mean()) ** 2).sum()) for k in places]
    right = [float(((mean[k:] - mean[k:].mean()) ** 2).sum()) for k in places]
    best = int(np.argmin(np.add(left, right)))
    k = places[best]
    variance = (left[best] + right[best]) / max(len(mean) - 2, 1)
    return k, float(np.sqrt(variance * (1 / k + 1 / (len(mean) - k))))


def _part(before: pl.DataFrame, after: pl.DataFrame) -> tuple[str, float]:
    """Return the role or kind of segments that grew most, and by how many tokens a request."""
    means = []
    for part in (before, after):
        flat = part.select("segments").explode("segments").unnest("segments")
        if not {"role", "kind", "tokens"} <= set(flat.columns):
            return "", 0.0
        named = pl.when(pl.col("kind") == "text").then("role").otherwise("kind").fill_null("text")
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
