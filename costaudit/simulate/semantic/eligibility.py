"""Which requests a response cache must leave alone, and why."""

import numpy as np
import polars as pl

ELIGIBLE = 0
REASONS = (
    "",  # eligible
    "not_chat",  # embeddings and other calls
    "gateway_cache",  # a gateway's cache already served it
    "status_error",
    "images",  # or other media in the prompt: a text key can't tell them apart
    "no_prompt",  # no user text was logged, or it is empty
    "truncated",  # the exporter cut the prompt or the answer, so equal texts may differ
    "temperature",  # above the policy's limit
    "tool_use",  # the answer called a tool
    "finish_reason",  # the answer was cut or filtered
    "refusal",
    "no_answer",  # the model answered nothing
    "no_time",  # no time in a log that has times elsewhere
)  # a request is counted under the first reason that holds


def bypass_codes(
    requests: pl.DataFrame, has_text: pl.Series, has_image: pl.Series, max_temperature: float
) -> np.ndarray:
    """Give each request's place in REASONS, as int8 (n,)."""
    answer, finish = pl.col("answer_kind"), pl.col("finish_reason")
    holds = {
        "not_chat": pl.col("kind") != "chat",
        "gateway_cache": pl.col("served_by") == "gateway_cache",
        "status_error": pl.col("status") != "ok",
        "images": pl.lit(has_image),
        "no_prompt": ~pl.lit(has_text),
        "truncated": pl.col("truncated"),
        "temperature": pl.col("temperature") > max_temperature,
        "tool_use": (answer == "tool_use") | (finish == "tool_calls"),
        "finish_reason": finish != "stop",
        "refusal": answer == "refusal",
        "no_answer": answer == "empty",
    }
    code = pl.lit(ELIGIBLE)
    for name, holding in reversed(holds.items()):
        code = pl.when(holding.fill_null(False)).then(REASONS.index(name)).otherwise(code)
    return requests.select(code.cast(pl.Int8).alias("code"))["code"].to_numpy().copy()
