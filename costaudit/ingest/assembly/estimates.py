"""Replace counts that are missing or placeholders by the tokenizer's, and number the requests."""

import polars as pl
from xxhash import xxh3_64_hexdigest

from costaudit.contracts.requests import ANSWERED, INPUT_CLASSES

PLACEHOLDER = 10  # a logged output of less than 1/10 of the answer's tokens is a placeholder
SHORT_ANSWER = 50  # tokens; shorter answers don't reveal placeholders


def estimated() -> list[pl.Expr]:
    """Return expressions that replace missing counts and placeholders by the tokenizer's counts.

    An output far below the tokens of the answer's text is a placeholder, such as the one in the
    first event of a stream. So are zero input and zero output for a prompt with text, which
    proxies log if a stream had no usage. Counts without a text to tokenize stay missing.
    """
    asked = ANSWERED
    sent, received = pl.col("input_uncached_tokens"), pl.col("output_tokens")
    text = pl.col("answer_tokens")
    placeholder = asked & (text >= SHORT_ANSWER) & (received * PLACEHOLDER < text)
    counted = pl.sum_horizontal(*INPUT_CLASSES, received)
    zeros = (asked & (counted == 0) & (pl.col("prompt_tokens") > 0)).fill_null(value=False)
    no_input = asked & (sent.is_null() | zeros)
    no_output = asked & (received.is_null() | zeros)
    count_input = no_input & (pl.col("prompt_tokens") > 0)
    nothing_said = received.is_null() & sent.is_null() & count_input  # a prompt without an answer
    count_output = (no_output & (text.is_not_null() | nothing_said)) | placeholder
    count_output = count_output.fill_null(value=False)
    columns = [
        pl.when(count_input)
        .then(pl.col("prompt_tokens") if name == "input_uncached_tokens" else pl.lit(0, pl.Int64))
        .otherwise(name)
        .alias(name)
        for name in INPUT_CLASSES
    ]
    columns += [
        pl.when(count_output).then(text.fill_null(0)).otherwise(received).alias("output_tokens"),
        pl.when(count_output & (no_output | placeholder))
        .then(pl.col("reasoning_tokens").fill_null(0))
        .otherwise("reasoning_tokens")
        .alias("reasoning_tokens"),
    ]
    lacks_input = no_input & ~count_input.fill_null(value=False)
    lacks_output = no_output & ~count_output
    source = (
        pl.when((lacks_input | lacks_output) & asked)
        .then(pl.lit("missing"))
        .when((count_input | count_output).fill_null(value=False))
        .then(pl.lit("estimated"))
        .otherwise("usage_source")
    )
    label = (
        pl.when(zeros)
        .then(pl.concat_str("usage_convention", pl.lit(", the counts were placeholders")))
        .when(placeholder.fill_null(value=False))
        .then(pl.concat_str("usage_convention", pl.lit(", the output was a placeholder")))
    )
    return [
        *columns,
        source.alias("usage_source"),
        pl.coalesce(label, "usage_convention").alias("usage_convention"),
    ]


def request_ids(kept: pl.DataFrame) -> pl.Series:
    """Return unique request ids: native ids, with a digest if they are repeated or missing."""
    native = pl.col("native_id")
    is_own = (native != "") & native.is_first_distinct()
    own = kept.select(is_own.fill_null(False)).to_series()
    others = []
    for native_id, *place in (
        kept.filter(~own).select(native, "source_file", "offset", "index").iter_rows()
    ):
        digest = xxh3_64_hexdigest("\0".join(map(str, place)).encode())
        others.append(f"{native_id}#{digest[:8]}" if native_id else f"row-{digest}")
    at = pl.Series((~own).arg_true(), dtype=pl.UInt32)
    return kept["native_id"].alias("request_id").scatter(at, pl.Series(others, dtype=pl.String))
