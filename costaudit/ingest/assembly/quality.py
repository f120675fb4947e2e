"""Check how good a log is: inconsistent numbers, and questions that it can't answer."""

import polars as pl

from costaudit.contracts.manifest import Check, Convention
from costaudit.contracts.requests import COUNTED, INPUT_CLASSES, NO_CACHE_DETAIL

ALWAYS = pl.col("offset").is_not_null()
EARLIEST = pl.datetime(2022, 1, 1, time_zone="UTC")  # no LLM log is older


def check_counts(rows: pl.DataFrame) -> pl.DataFrame:
    """Count for each file the rows that each check applies to (`rows`), and those `failing` it.

    `rows` are normalised, kept and merged.
    """
    sent = pl.sum_horizontal(INPUT_CLASSES, ignore_nulls=False)
    total = (pl.col("total") - sent - pl.col("output_tokens")).abs()
    moment = pl.from_epoch("ts_us", "us").dt.replace_time_zone("UTC")
    billed = (pl.col("status") == "ok") & (pl.col("served_by") == "provider")
    cached = pl.sum_horizontal(pl.col("cache_read").fill_null(0), "cache_write_5m",
                               "cache_write_1h", "cache_write_other")  # fmt: skip
    table: dict[str, tuple[pl.Expr, pl.Expr]] = {
        "usage is there": (billed, pl.col("usage_source") == "missing"),
        "usage is the provider's": (billed, pl.col("usage_source") != "provider"),
        "the parts add up to the total": (pl.col("total").is_not_null(), total > 2),
        "reasoning is within the output": (
            pl.col("reasoning") > 0,
            pl.col("reasoning") > pl.col("output_tokens"),
        ),
        "cached tokens are within the input": (cached > 0, cached > sent),
        "there is a time": (ALWAYS, pl.col("ts_us").is_null()),
        "the time is plausible": (pl.col("ts_us").is_not_null(), moment < EARLIEST),
        "no other record is the same call": (
            ALWAYS,
            pl.col("merged_into").is_not_null() & (pl.col("merge_reason") != "joined"),
        ),
    }
    counts = [
        pl.struct(
            pl.lit(place).alias("place"),
            pl.lit(name).alias("check"),
            applies.fill_null(False).sum().cast(pl.Int64).alias("rows"),
            (applies & fails).fill_null(False).sum().cast(pl.Int64).alias("failing"),
        )
        for place, (name, (applies, fails)) in enumerate(table.items())
    ]
    found = rows.group_by("source_file").agg(pl.concat_list(counts).alias("counts"))
    return found.explode("counts").unnest("counts")


def checks(counts: pl.DataFrame) -> list[Check]:
    """Return the result of each check for each file, from the `check_counts` of all rows."""
    sums = (
        counts.group_by("source_file", "place", "check")
        .agg(pl.col("rows").sum(), pl.col("failing").sum())
        .sort("source_file", "place")
    )
    return [Check(*row) for row in sums.drop("place").iter_rows()]


def convention_counts(rows: pl.DataFrame) -> pl.DataFrame:
    """Count the rows of each file, provider, model and way to count tokens."""
    return (
        rows.filter(pl.col("usage_convention").is_not_null())
        .group_by("source_file", "provider", "model", "usage_convention")
        .agg(pl.len().cast(pl.Int64), pl.col("was_ambiguous").sum().cast(pl.Int64))
    )


def conventions(counts: pl.DataFrame) -> list[Convention]:
    """Return how the tokens of each file, provider and model were counted.

    `counts` are the `convention_counts` of all rows.
    """
    groups = (
        counts.group_by("source_file", "provider", "model", "usage_convention")
        .agg(pl.col("len").sum(), pl.col("was_ambiguous").sum())
        .sort("source_file", "provider", "model", "usage_convention", nulls_last=True)
    )
    return [
        Convention(file, provider or "", model or "", convention, count, ambiguous)
        for file, provider, model, convention, count, ambiguous in groups.iter_rows()
    ]


QUESTIONS: tuple[tuple[str, pl.Expr, str], ...] = (
    (
        "prompts",
        pl.col("segments").list.len() > 0,
        "No prompts: what a semantic cache would have hit, and what breaks prompt caching.",
    ),
    (
        "answers",
        pl.col("answer_id").is_not_null(),
        "No answers: whether a cache hit would be right.",
    ),
    (
        "times",
        pl.col("ts").is_not_null(),
        "No times: what expires, and how much it comes to a month.",
    ),
    (
        "usage",
        COUNTED,
        "No token counts: what was billed; a tokenizer's counts replace them.",
    ),
    (
        "cache detail",
        ~pl.col("usage_convention").str.ends_with(NO_CACHE_DETAIL).fill_null(True),
        "No cache detail: how much of the input the provider already billed as cached.",
    ),
    ("costs", pl.col("logged_cost").is_not_null(), "No costs: whether prices and bill agree."),
    (
        "latencies",
        pl.col("latency_ms").is_not_null(),
        "No latencies: how much faster hits would be.",
    ),
    (
        "tenants or users",
        pl.col("tenant").is_not_null() | pl.col("user").is_not_null(),
        "Neither tenants nor users: what keeping their answers apart would cost.",
    ),
    (
        "conversations",
        pl.col("conversation").is_not_null(),
        "No conversations: which calls follow one another.",
    ),
)


def answers_and_gaps(requests: pl.DataFrame) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return the share of REQUESTS that answer each of QUESTIONS, and a sentence for each 0."""
    shares = {
        name: float(requests.select(there.mean()).item() or 0.0) for name, there, _ in QUESTIONS
    }
    gaps = tuple(sentence for name, _, sentence in QUESTIONS if not shares[name])
    return shares, gaps
