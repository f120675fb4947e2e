"""Forecast a log's next month, and explain why its spend grew."""

from collections.abc import Iterator
from decimal import Decimal

import numpy as np
import polars as pl

from costaudit.contracts.forecast import Driver, Forecast
from costaudit.contracts.requests import ANSWERED, TS_S
from costaudit.contracts.run_dir import column
from costaudit.costing.cost import class_usd, per_request_usd
from costaudit.costing.growth import Paid, Parts, drivers, inflation, spikes, token_counts
from costaudit.costing.months.forecast import backtest, next_month
from costaudit.costing.months.month import month_at
from costaudit.errors import InsufficientDataError
from costaudit.pipeline.loaded import Loaded
from costaudit.simulate.segments import ROLES, owners

_DAY_S = 86_400
_ROUNDING = 1e-9  # share of a bill that is no amount of its own


def forecast_of(log: Loaded) -> Forecast:
    """Return a log's forecast; raises InsufficientDataError without a month or an amount."""
    _check_has_spend(log)
    usd = log.tariff.request_usd
    change, factors = _change(log, usd)
    requests = log.keyed
    day = column(requests, "ts").dt.date()
    split = {name: column(requests, name) for name in ("endpoint", "model", "user", "tenant")}
    split["template"] = log.templates.cast(pl.String)
    has_prompts = log.laid_out is not None or not column(requests, "segments").is_null().all()
    return Forecast(
        month=log.month.facts,
        like_log=log.month.money(usd, "measured"),
        next_month=next_month(log.month, usd),
        backtest=backtest(requests, usd, log.quality.covered_days),
        change=change,
        drivers=factors,
        spikes=spikes(day, usd, split, (lambda: _parts(log)) if has_prompts else None),
        inflation=inflation(requests, _input_price(log), log.month.weights),
        unpriced_requests=log.spend.unpriced_requests,
        unpriced_share=log.spend.unpriced_share,
    )


def _check_has_spend(log: Loaded) -> None:
    """Raise InsufficientDataError, with the next step, if there is no spend of a month."""
    calls = f"None of the {len(log.requests):,} calls"
    if not log.month.facts.is_month:
        untimed = column(log.requests, "ts").null_count() == len(log.requests)
        raise InsufficientDataError(
            f"There is no month to forecast. {' '.join(log.month.facts.reasons)}",
            hint="Log the time of each call." if untimed else "Take a log of two weeks or more.",
        )
    if not log.spend.has_price:
        raise InsufficientDataError(
            f"{calls} has a price, so there is no spend to forecast.",
            hint="Name the rates of their models in a file: --prices FILE.",
        )
    if not log.spend.total.total_usd:
        did = "cost anything" if log.requests.filter(ANSWERED).height else "was answered"
        raise InsufficientDataError(
            f"{calls} {did}, so there is no spend to forecast.",
            hint="`costaudit doctor LOG` shows what the log contains.",
        )


def _input_price(log: Loaded) -> np.ndarray:
    """Return what each request paid for a token of its input, on average."""
    inputs = log.tariff.classes.with_columns(output_tokens=pl.lit(0))
    usd = np.nan_to_num(per_request_usd(inputs, log.tariff.billed))
    return usd / np.maximum(token_counts(inputs), 1.0)


def _parts(log: Loaded) -> Parts:
    """Return the cost of each segment of the prompts and of each answer.

    A request's input is divided by the tokens of its segments.
    """
    segments, price = log.segments, _input_price(log)
    roles = [*ROLES, "text"]  # a role that is not in the list is the last one
    names = [[role if kind == "text" else kind for role in roles] for kind in segments.kinds]
    every = sorted({"answer", *(name for row in names for name in row)})
    numbers = np.array([[every.index(name) for name in row] for row in names] or [[0]])
    owner = owners(np.arange(len(segments.tokens)), segments.offsets)
    count = len(price)
    of_segments = np.maximum(segments.tokens, 0) * price[owner]
    of_input = np.bincount(owner, of_segments, count)
    number = np.concatenate(
        [numbers[segments.kind, segments.role], np.full(count, every.index("answer"))]
    )
    return Parts(
        np.concatenate([owner, np.arange(count)]),
        pl.Series(every, dtype=pl.Enum(every)).gather(number),
        np.concatenate([of_segments, np.maximum(log.tariff.request_usd - of_input, 0.0)]),
    )


def _paid(log: Loaded, usd: np.ndarray) -> Iterator[Paid]:
    """Yield what requests were billed for: the tokens of each class, then all else, in dollars."""
    rest = usd.copy()
    for tokens, millionths in class_usd(log.tariff.classes, log.tariff.billed):
        if tokens.any():
            of_class = np.nan_to_num(millionths) / 1e6
            rest -= of_class
            yield tokens.astype(np.float64), of_class
    rest[np.abs(rest) < _ROUNDING * usd] = 0.0
    if rest.any():
        yield rest, rest


def _change(log: Loaded, usd: np.ndarray) -> tuple[Decimal, tuple[Driver, ...]]:
    """Compare two months, one made of each half of the log, in whole days."""
    ts_s = log.keyed.select(TS_S).to_series().fill_null(np.nan).to_numpy()
    days = ts_s // _DAY_S
    middle = np.nanmin(days) + np.floor((np.nanmax(days) - np.nanmin(days) + 1) / 2)
    weights = []
    for half in (days < middle, days >= middle):
        month = month_at(ts_s[half], 1.0)
        if not month.facts.is_month:
            return Decimal(0), ()
        weight = np.zeros(len(days))
        weight[half] = month.weights
        weights.append(weight)
    found = drivers(log.keyed["model"], _paid(log, usd), (weights[0], weights[1]))
    return sum((one.usd for one in found), Decimal(0)), found
