"""Find priority tiers that are no faster than the standard tier, by the log's latencies."""

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.ledger import Lever, Suggestion
from costaudit.contracts.requests import IN_BATCH
from costaudit.levers.effects import effect_of, endpoint_unit, endpoints, sent_ok

DEARER = ("priority", "fast")  # tiers whose price buys speed
LEAST_CALLS = 100  # minimum number of calls with a latency, on each side of a comparison
NO_FASTER = 0.10  # a speed-up whose upper bound is below this share counts as none
_REPLICATES = 400
_QUANTILES = (0.5, 0.95)
Floats = npt.NDArray[np.float64]


def idle_priority(requests: pl.DataFrame, seed: int = 0) -> Lever | None:
    """Return calls at a more expensive tier that is no faster in this log; None if there are none.

    Each endpoint and model is compared with its own calls at the standard tier, by the time for
    each output token, at the median and at the 95th percentile.
    """
    unit = endpoint_unit(requests)
    frame = _timed(requests, unit)
    useless = [
        name
        for name, part in _by_unit(frame)
        if len(part[0]) >= LEAST_CALLS
        and len(part[1]) >= LEAST_CALLS
        and _no_faster(*part, np.random.default_rng(seed))
    ]
    dear = requests.select(pl.col("service_tier").is_in(DEARER).fill_null(False)).to_series()
    batch = requests.select(IN_BATCH).to_series()
    touched = dear & unit.is_in(useless) & ~batch
    if not touched.any():
        return None
    where = endpoints(unit.filter(touched))
    return Lever(
        lever="tiers",
        label="Standard tier where priority is no faster",
        section="levers",
        rule=(
            f"{int(touched.sum()):,} calls of {where} were sent at a priority tier; calls of the "
            "same endpoint and model at the standard tier took no longer: the priority tier is at "
            f"most {NO_FASTER:.0%} faster at the median and at the 95th percentile (upper 95% "
            "bound)."
        ),
        change=f'Send {where} with service_tier "default", and watch the latency.',
        risk="In the provider's busiest hours, which this log may not hold, the tiers may differ.",
        grade="estimated",
        effect=effect_of(touched, unit=unit, service_tier="standard"),
    )


def untried_tiers(requests: pl.DataFrame, lever: Lever | None) -> Suggestion | None:
    """Return calls at a more expensive tier without standard calls to compare; None without any."""
    unit = endpoint_unit(requests)
    dear = requests.select((pl.col("service_tier").is_in(DEARER) & sent_ok()).fill_null(False))
    compared = [
        name
        for name, (fast, plain) in _by_unit(_timed(requests, unit))
        if min(len(fast), len(plain)) >= LEAST_CALLS
    ]
    touched = dear.to_series() & ~unit.is_in(compared)
    if lever is not None:
        touched &= lever.effect["unit"].is_null()
    if not touched.any():
        return None
    return Suggestion(
        lever="tiers",
        label="Priority tier",
        requests=int(touched.sum()),
        why=(
            f"{endpoints(unit.filter(touched))} pay for a priority tier, and the log holds too few "
            "calls at the standard tier to show what it brings."
        ),
        test=(
            "Send a tenth of these calls at the standard tier for a day, and run `costaudit "
            "levers` on the new log."
        ),
    )


def _timed(requests: pl.DataFrame, unit: pl.Series) -> pl.DataFrame:
    """Return unit, dear and ms for each output token of the calls whose latency is known."""
    dear = pl.col("service_tier").is_in(DEARER).fill_null(False)
    known = sent_ok() & (pl.col("latency_ms") > 0) & ~IN_BATCH
    return requests.select(
        unit=unit,
        dear=dear,
        ms=pl.col("latency_ms") / pl.max_horizontal(pl.col("output_tokens").fill_null(1), 1),
        known=known.fill_null(False),
    ).filter("known")


def _by_unit(frame: pl.DataFrame) -> list[tuple[str, tuple[Floats, Floats]]]:
    """Return units with a more expensive tier, and their times there and at the standard tier."""
    found = []
    for (name,), part in frame.group_by("unit", maintain_order=True):
        fast, plain = (part.filter(pl.col("dear") == dear)["ms"] for dear in (True, False))
        if len(fast):
            found.append((str(name), (fast.to_numpy(), plain.to_numpy())))
    return found


def _no_faster(fast: Floats, plain: Floats, rng: np.random.Generator) -> bool:
    """Return whether the speed-up's upper bound is below NO_FASTER at both quantiles."""
    ratios = np.empty((_REPLICATES, len(_QUANTILES)))
    for i in range(_REPLICATES):
        one, other = rng.choice(fast, len(fast)), rng.choice(plain, len(plain))
        ratios[i] = np.quantile(one, _QUANTILES) / np.quantile(other, _QUANTILES)
    return bool((np.quantile(ratios, 0.025, axis=0) > 1 - NO_FASTER).all())
