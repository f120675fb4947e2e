"""What a token of each class costs: written by costing, read by whoever chooses by money."""

from dataclasses import dataclass

import polars as pl

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
    }
)


@dataclass(frozen=True)
class Pricing:
    """The rates of a log, and which rate prices which request."""

    rates: pl.DataFrame  # RATES, one row per (model, tier, band, period)
    rate_ids: pl.Series  # Int32, aligned with the requests; null where no price is known
