"""Which rows are one call: exported twice, or seen by two instruments."""

import polars as pl

FUZZY_US = 2_000_000  # two instruments may differ by that much in a call's time
_TOKENS = (
    "input_uncached_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_write_other_tokens",
)


def find_duplicates(rows: pl.DataFrame) -> pl.DataFrame:
    """Add `merged_into` (index of the row that is kept, else null) and `merge_reason`.

    Needs normalised rows with an `at` column that numbers them in order. Rows with the same id are
    one call, of which the most complete row is kept; so are rows of different sources with the same
    model, tokens and prompt within two seconds, where they don't both have ids of the same kind.
    """
    rows = rows.with_columns(
        _sent=pl.sum_horizontal(_TOKENS),
        _model=pl.col("model")
        .str.to_lowercase()
        .str.replace(r"^.*/", "")
        .str.replace(r"[-@]\d{4}-?\d{2}-?\d{2}.*$", ""),
    ).with_columns(_worth=pl.col("_sent").fill_null(0) + pl.col("output_tokens").fill_null(0))
    by_id = _same_id(rows)
    rows = rows.join(by_id, on="at", how="left", maintain_order="left")
    fuzzy = _same_moment(rows.filter(pl.col("merged_into").is_null()))
    rows = rows.join(fuzzy, on="at", how="left", suffix="_fuzzy", maintain_order="left")
    rows = rows.with_columns(
        merged_into=pl.coalesce("merged_into", "merged_into_fuzzy"),
        merge_reason=pl.coalesce("merge_reason", "merge_reason_fuzzy"),
    )
    return _to_the_end(rows).drop(pl.selectors.starts_with("_") | pl.selectors.ends_with("_fuzzy"))


def _best_first(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.sort(
        pl.col("_worth"),
        pl.col("status") == "ok",
        pl.col("prompt_hash").is_not_null(),
        pl.col("updated_us"),
        -pl.col("at"),
        descending=True,
        nulls_last=True,
    )


def _same_id(rows: pl.DataFrame) -> pl.DataFrame:
    cached = pl.col("served_by") == "gateway_cache"
    moment = pl.concat_str(pl.lit("cache "), "native_id", pl.lit(" "), "ts_us")
    own = pl.coalesce("same_as", pl.when(cached).then(moment).otherwise(pl.col("native_id")))
    repeated = rows.with_columns(_key=own).filter(
        pl.col("_key").is_not_null() & pl.col("_key").is_duplicated()
    )
    groups = (
        _best_first(repeated)
        .group_by("_key", maintain_order=True)
        .agg(
            pl.col("at").first().alias("merged_into"),
            pl.col("source").first().alias("_kept_source"),
        )
    )
    found = repeated.join(groups, on="_key").filter(pl.col("at") != pl.col("merged_into"))
    same_source = pl.col("source") == pl.col("_kept_source")
    return found.select(
        "at",
        "merged_into",
        merge_reason=pl.when(same_source)
        .then(pl.lit("duplicate-id"))
        .otherwise(pl.lit("other-instrument")),
    )


def _same_moment(rows: pl.DataFrame) -> pl.DataFrame:
    key = ["_model", "_sent", "output_tokens", "prompt_hash"]
    able = rows.filter(
        pl.col("ts_us").is_not_null()
        & pl.col("prompt_hash").is_not_null()
        & (pl.col("_worth") > 0)
        & (pl.col("served_by") == "provider")
    ).sort(*key, "ts_us", "at")
    previous = able.with_columns(
        _prev_at=pl.col("at").shift().over(key),
        _prev_ts=pl.col("ts_us").shift().over(key),
        _prev_source=pl.col("source").shift().over(key),
    ).filter(
        (pl.col("_prev_source") != pl.col("source"))
        & (pl.col("ts_us") - pl.col("_prev_ts") <= FUZZY_US)
    )
    return previous.select("at", merged_into="_prev_at", merge_reason=pl.lit("other-instrument"))


def _to_the_end(rows: pl.DataFrame) -> pl.DataFrame:
    """Let a row that was merged into a merged row point to the one that is kept."""
    for _ in range(8):
        onward = rows.select(merged_into="at", _next="merged_into").drop_nulls("_next")
        if onward.is_empty():
            return rows
        rows = rows.join(onward, on="merged_into", how="left", maintain_order="left")
        if rows["_next"].null_count() == len(rows):
            return rows.drop("_next")
        rows = rows.with_columns(merged_into=pl.coalesce("_next", "merged_into")).drop("_next")
    return rows
