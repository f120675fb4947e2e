"""Settle by the log's own costs whether the input of a table's calls includes cached tokens."""

from datetime import date
from pathlib import Path

import polars as pl

from costaudit.contracts.requests import CACHE_WRITES
from costaudit.contracts.run_dir import column
from costaudit.costing.cost import billed_classes, per_request_usd
from costaudit.costing.logged import UNITS, logged_usd
from costaudit.costing.prices.lookup import last_day, price_requests

UNDECIDED = "undecided"  # in the convention of calls that fit both conventions
GROUP = ("source_file", "provider", "model", "usage_convention")
TABLE = "mapped"  # source of people's tables; platforms compute costs from their own counts
EXACT = 0.005  # tolerance of a cost, as a share of the price that it is compared with
APART = 0.02  # minimum difference of the two prices, as a share of the lower one
MOST = 0.8  # minimum share of the costs of a group that must equal one of the prices


def is_undecided() -> pl.Expr:
    """Return whether nothing in a call shows if its input includes cached tokens."""
    return pl.col("usage_convention").str.contains(UNDECIDED, literal=True).fill_null(value=False)


def swapped(rows: pl.DataFrame) -> pl.DataFrame:
    """Return undecided calls as the other convention counts them."""
    cached = pl.sum_horizontal("cache_read_tokens", *CACHE_WRITES)
    sent = pl.col("input_uncached_tokens")
    return rows.with_columns(
        input_uncached_tokens=pl.when(_is_inclusive())
        .then(sent + cached)
        .otherwise(pl.max_horizontal(sent - cached, 0))
    )


def settled_by_cost(requests: pl.DataFrame, prices: Path | None) -> pl.DataFrame:
    """Return the requests with each convention that logged costs at list prices decide.

    The calls of a table with equal file, provider, model and convention are decided together: most
    of their costs equal the price of one convention, and none that of the other. Calls whose
    tokens are divided among the segments of a prompt are not changed to the other one.
    """
    if not (column(requests, "source") == TABLE).any():
        return requests
    open_ = requests.with_row_index("_row").filter(is_undecided(), pl.col("source") == TABLE)
    if open_.is_empty() or open_["logged_cost"].is_null().all():
        return requests
    day = last_day(requests)
    fits = open_.select("_row", *GROUP, logged=logged_usd(open_).cast(pl.Float64)).with_columns(
        own=_list_usd(open_, prices, day),
        other=_list_usd(swapped(open_), prices, day),
        half=_half(open_),
    )
    told = fits.filter(
        pl.col("logged") > 0,
        (pl.col("own") - pl.col("other")).abs() > APART * pl.min_horizontal("own", "other"),
    )
    shares = told.group_by(GROUP).agg(own=_equals("own").mean(), other=_equals("other").mean())
    decided = shares.select(
        *GROUP,
        _as=pl.when((pl.col("own") >= MOST) & (pl.col("other") == 0))
        .then(pl.lit("own"))
        .when((pl.col("other") >= MOST) & (pl.col("own") == 0))
        .then(pl.lit("other")),
    ).drop_nulls("_as")
    rows = open_.join(decided, on=list(GROUP), nulls_equal=True)
    rows = rows.filter((pl.col("_as") == "own") | (pl.col("segments").list.len().fill_null(0) == 0))
    stated = pl.col("usage_convention").str.extract(r"^([^,]+)")
    inclusive = _is_inclusive() == (pl.col("_as") == "own")
    label = pl.when(inclusive).then(pl.lit("inclusive")).otherwise(pl.lit("exclusive"))
    changed = pl.concat([rows.filter(_as="own"), swapped(rows.filter(_as="other"))])
    named = rows.select("_row", usage_convention=stated + ", by its costs " + label)
    new = changed.select("_row", "input_uncached_tokens").join(named, on="_row")
    return requests.with_row_index("_row").update(new, on="_row").drop("_row")


def _is_inclusive() -> pl.Expr:
    return pl.col("usage_convention").str.contains("read as inclusive")


def _list_usd(rows: pl.DataFrame, prices: Path | None, day: date) -> pl.Series:
    """Return each request's list price; null if a part of it has no known price."""
    pricing = price_requests(rows, prices, day)
    tokens = pl.Series("tokens", per_request_usd(billed_classes(rows), pricing))
    return (tokens + pricing.units().cast(pl.Float64)).fill_nan(None)


def _half(rows: pl.DataFrame) -> pl.Series:
    """Return half of the last decimal place of each logged cost, in dollars."""
    places = pl.col("logged_cost").str.extract(r"^\d*\.(\d+)$").str.len_chars().fill_null(15)
    unit = pl.col("cost_unit").fill_null("usd").str.to_lowercase()
    factors = {name: float(factor) for name, factor in UNITS.items()}
    factor = unit.replace_strict(factors, default=1.0, return_dtype=pl.Float64)
    ten = pl.lit(10.0).pow(-places.cast(pl.Float64))
    return rows.select(half=0.501 * ten * factor).to_series()  # above float errors


def _equals(name: str) -> pl.Expr:
    price = pl.col(name)
    nearest = pl.max_horizontal(EXACT * price, pl.col("half"))
    return ((pl.col("logged") - price).abs() <= nearest).fill_null(value=False)
