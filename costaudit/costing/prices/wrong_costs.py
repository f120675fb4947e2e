"""Find logged costs that are wrong through a known fault of a logger.

A proxy computes its cost from the token counts that it logs, so the cost can't prove the counts. If
the logged cost equals what such a fault computes, within 0.5 %, and the list price differs, then
the list price is used.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from decimal import Decimal

import polars as pl

from costaudit.contracts.grades import MTOK
from costaudit.contracts.requests import TOKEN_CLASSES

EXACT = 0.005  # tolerance, as a share of the cost with the fault
APART = 0.02  # minimum difference, as a share of the list price
MOST = 0.8  # minimum share of the calls at a rate that show the fault
_CACHED = TOKEN_CLASSES[1:5]


Counts = dict[Hashable, tuple[int, int]]  # by rate: calls that could show a fault, and that do


def first_faults(rates: Iterable[int], shown: Mapping[str, frozenset[Hashable]]) -> dict[int, str]:
    """Return a text with the first fault that each rate shows; other rates are left out."""
    told = {rate: [words for words, ids in shown.items() if rate in ids] for rate in rates}
    return {rate: words[0] for rate, words in told.items() if words}


def fault_counts(
    frame: pl.DataFrame, rates: Mapping[int, tuple[Decimal, ...]]
) -> dict[str, Counts]:
    """Return for each fault the calls that could show it, and those that do, by rate id.

    `frame` holds TOKEN_CLASSES, `rate_id`, `logged` and `unit_usd`, both in dollars. Calls with
    units of unknown price prove no fault. The counts of parts of a log add up.
    """
    found: dict[str, Counts] = {}
    for words, calls in _compared(frame, rates):
        proof = calls.filter(
            pl.col("_touched") & pl.col("unit_usd").is_not_null() & pl.col("rate_id").is_not_null()
        )
        counts = proof.group_by("rate_id").agg(pl.len(), pl.col("_match").sum())
        found[words] = {rate: (number, shown) for rate, number, shown in counts.iter_rows()}
    return found


def rates_with_faults(counts: Mapping[str, Counts]) -> dict[str, frozenset[Hashable]]:
    """Return the rates at which most calls show a fault, by fault."""
    return {
        words: frozenset(rate for rate, (calls, shown) in by.items() if shown / calls >= MOST)
        for words, by in counts.items()
    }


def wrong_rows(
    frame: pl.DataFrame,
    rates: Mapping[int, tuple[Decimal, ...]],
    shown: Mapping[str, frozenset[Hashable]],
) -> pl.Series:
    """Return which rows have a cost with a fault, by the rates that show each fault.

    Calls with units of unknown price are wrong where others at the rate prove it.
    """
    wrong = pl.repeat(False, len(frame), dtype=pl.Boolean, eager=True)
    if not any(shown.values()):
        return wrong
    for words, calls in _compared(frame, rates):
        ids = [rate for rate in shown.get(words, ()) if rate in rates]
        if ids:
            wrong |= calls.select(
                (pl.col("rate_id").is_in(ids) & pl.col("_touched")).fill_null(value=False)
            ).to_series()
    return wrong


def _compared(
    frame: pl.DataFrame, rates: Mapping[int, tuple[Decimal, ...]]
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield each fault with the calls whose cost it would change, and those that have its cost."""
    if frame["logged"].null_count() == len(frame):
        return
    names = [f"_{name}" for name in TOKEN_CLASSES]
    rows = [(rate, *map(float, prices)) for rate, prices in rates.items()]
    table = pl.DataFrame(rows, schema=["rate_id", *names], orient="row").cast(
        {"rate_id": frame.schema["rate_id"], **dict.fromkeys(names, pl.Float64())}
    )
    priced = frame.select(
        "rate_id",
        "unit_usd",
        *TOKEN_CLASSES,
        pl.col("logged").cast(pl.Float64),
        _units=pl.col("unit_usd").cast(pl.Float64).fill_null(0),
    ).join(table, on="rate_id", how="left", maintain_order="left")
    priced = priced.with_columns(_listed=_usd(dict(zip(TOKEN_CLASSES, names, strict=True))))
    for words, cost in _faults().items():
        yield (
            words,
            priced.with_columns(
                _touched=((cost - pl.col("_listed")).abs() > APART * pl.col("_listed"))
                & (pl.col("logged") > 0),
                _match=(pl.col("logged") - cost).abs() <= EXACT * cost,
            ).with_columns(pl.col("_touched", "_match").fill_null(value=False)),
        )


def _usd(at: Mapping[str, str]) -> pl.Expr:
    """Return the price of tokens, each class at the rate of its column in `at`, plus units."""
    return pl.sum_horizontal(pl.col(name) * pl.col(rate) for name, rate in at.items()) / MTOK + (
        pl.col("_units")
    )


def _faults() -> dict[str, pl.Expr]:
    own = {name: f"_{name}" for name in TOKEN_CLASSES}
    uncached = own["input_uncached_tokens"]
    plain = dict.fromkeys(_CACHED, uncached)
    return {
        "one-hour cache writes were priced as five-minute ones": _usd(
            {**own, "cache_write_1h_tokens": own["cache_write_5m_tokens"]}
        ),
        "cached tokens were priced as uncached ones": _usd({**own, **plain}),
        "cached tokens were counted twice": _usd(own)
        + pl.sum_horizontal(pl.col(name) * pl.col(uncached) for name in _CACHED) / MTOK,
        "cache writes were left out": _usd(
            {name: rate for name, rate in own.items() if not name.startswith("cache_write")}
        ),
    }
