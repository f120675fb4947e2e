"""Simulate a router's effect on prompt caches: remaining calls are rarer, moved ones start cold."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.grades import Money
from costaudit.contracts.requests import INPUT_CLASSES, TOKEN_CLASSES
from costaudit.contracts.route import CacheEffect
from costaudit.costing.cost import cost, per_request_usd
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.tariff import tariff
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.prompt_caching import PromptCaches
from costaudit.pipeline.routing.candidates import Candidate

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def cold_usd(log: Loaded, candidate: Candidate, growth: tuple[float, float]) -> Floats:
    """Return every request's cost at the candidate's rates, without its prompt cache.

    `growth` holds the candidate's input and output tokens per token of the log, from the sample.
    """
    classes = log.tariff.classes
    whole = classes.select(pl.sum_horizontal(INPUT_CLASSES)).to_series().to_numpy() * growth[0]
    said = classes["output_tokens"].to_numpy() * growth[1]
    rate = candidate.rate.per_mtok
    return np.asarray((whole * float(rate[0]) + said * float(rate[-1])) / 1e6, np.float64)


def warm_usd(log: Loaded, growth: tuple[float, float]) -> Floats:
    """Return every request's cost at its own rates, if the same model is asked otherwise.

    All classes of input grow alike; what a change sheds behind the cached prefix is worth more.
    """
    grown = log.tariff.classes.select(
        *((pl.col(name) * growth[0]).round().cast(pl.Int64) for name in INPUT_CLASSES),
        (pl.col("output_tokens") * growth[1]).round().cast(pl.Int64),
    )
    return np.nan_to_num(per_request_usd(grown, log.tariff.billed))


def moved_usd(
    log: Loaded, candidate: Candidate, growth: tuple[float, float], moves: Mask
) -> tuple[Floats, CacheEffect]:
    """Simulate both models' caches, with the requests of a mask at the candidate.

    Return the cost of each moved request (0 for all others), and the effect on the caches.
    """
    nothing = np.zeros(len(log.requests), np.bool_)
    goes = pl.Series(moves)
    routed = log.requests.with_columns(
        model=pl.when(goes).then(pl.lit(candidate.model)).otherwise("model"),
        provider=pl.when(goes).then(pl.lit(candidate.provider)).otherwise("provider"),
        service_tier=pl.when(goes).then(None).otherwise("service_tier"),
        logged_cost=pl.when(goes).then(None).otherwise("logged_cost"),
    )
    pricing = price_requests(routed, log.tariff.overrides)
    after = replace(
        log, requests=routed, tariff=tariff(routed, pricing, overrides=log.tariff.overrides)
    )
    before_classes = PromptCaches(log, compare=False).as_is(nothing)
    after_classes = PromptCaches(after, compare=False).as_is(nothing)
    grown = after_classes.select(
        *((pl.col(name) * growth[0]).round().cast(pl.Int64) for name in INPUT_CLASSES),
        (pl.col("output_tokens") * growth[1]).round().cast(pl.Int64),
    )
    there = np.nan_to_num(per_request_usd(grown, pricing))
    billed, stays = log.tariff.billed, ~goes
    colder = (
        cost(after_classes, billed, stays).total_usd - cost(before_classes, billed, stays).total_usd
    )
    month = log.month
    return np.where(moves, there, 0.0), CacheEffect(
        large_before=_read_share(before_classes, np.ones(len(moves), np.bool_)),
        large_after=_read_share(after_classes, ~moves),
        candidate=_read_share(after_classes, moves),
        colder=Money(month.paced(max(colder, Decimal(0))), "simulated"),
    )


def _read_share(classes: pl.DataFrame, rows: Mask) -> float:
    part = classes.filter(pl.Series(rows)).select(TOKEN_CLASSES)
    whole = sum(int(part[name].sum() or 0) for name in INPUT_CLASSES)
    return int(part["cache_read_tokens"].sum() or 0) / whole if whole else 0.0
