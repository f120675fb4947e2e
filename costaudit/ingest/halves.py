"""Requests and results that are logged apart, as batches are, become one row each."""

import polars as pl

FROM_REQUEST = ("prompt_tokens", "prompt_hash")


def join_halves(rows: pl.DataFrame) -> pl.DataFrame:
    """Join each result to its request by `join_key`.

    Adds `prompt_at` (the row that holds the prompt, itself as a rule), `joined_into` (of a request,
    the row of its result) and `is_unanswered`. `at` must number the rows.
    """
    asked = rows.filter((pl.col("half") == "request") & pl.col("join_key").is_not_null())
    answered = rows.filter((pl.col("half") == "response") & pl.col("join_key").is_not_null())
    if asked.is_empty():
        return rows.with_columns(
            prompt_at="at", joined_into=pl.lit(None, pl.Int64), is_unanswered=pl.lit(value=False)
        )
    requests = asked.group_by("join_key", maintain_order=True).agg(
        pl.col("at").first().alias("_request"),
        *(pl.col(name).first().alias(f"_{name}") for name in (*FROM_REQUEST, "model")),
    )
    results = answered.group_by("join_key", maintain_order=True).agg(
        pl.col("at").first().alias("_result")
    )
    rows = rows.join(requests, on="join_key", how="left", maintain_order="left")
    rows = rows.join(results, on="join_key", how="left", maintain_order="left")
    is_request = (pl.col("half") == "request").fill_null(False)
    is_result = (pl.col("half") == "response").fill_null(False) & pl.col("_request").is_not_null()
    taken = [
        pl.when(is_result).then(pl.col(f"_{name}")).otherwise(pl.col(name)).alias(name)
        for name in FROM_REQUEST
    ]
    return rows.with_columns(
        *taken,
        prompt_at=pl.when(is_result).then("_request").otherwise("at"),
        joined_into=pl.when(is_request).then("_result"),
        is_unanswered=is_request & pl.col("_result").is_null(),
        model=pl.when(is_result).then(pl.coalesce("model", "_model")).otherwise("model"),
    ).drop(pl.selectors.starts_with("_"))
