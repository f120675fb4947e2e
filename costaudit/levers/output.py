"""Long answers and reasoning: worth a test, because no log tells whether they were needed."""

import polars as pl

from costaudit.contracts.ledger import Suggestion
from costaudit.levers.effects import endpoint_unit, endpoints, sent_ok, was_sent

USUAL = 0.95  # quantile of an endpoint's answer lengths that counts as usual
FAR = 1.5  # an answer this many times longer than usual is in the tail
LEAST_ANSWERS = 100  # fewer have no tail worth the name
MUCH_REASONING = 0.5  # of an endpoint's output tokens


def long_answers(requests: pl.DataFrame) -> Suggestion | None:
    """Return the answers far above the usual length of their endpoint and model; None without."""
    answered = sent_ok() & pl.col("finish_reason").is_in(["stop", "length"])
    counted = pl.when(answered & (pl.col("output_tokens") > 0)).then("output_tokens")
    frame = requests.with_columns(unit=endpoint_unit(requests)).select(
        "unit",
        tokens=counted,
        usual=counted.quantile(USUAL, "higher").over("unit").cast(pl.Int64),
        answers=counted.count().over("unit"),
    )
    far = (pl.col("tokens") > pl.col("usual") * FAR) & (pl.col("answers") >= LEAST_ANSWERS)
    tail = frame.filter(far.fill_null(False))
    if tail.is_empty():
        return None
    limits = tail.select("unit", "usual").unique().sort("unit")
    named = "; ".join(f"{unit}: {usual:,}" for unit, usual in limits.head(5).iter_rows())
    return Suggestion(
        lever="output",
        label="Limit on the longest answers",
        requests=len(tail),
        why=(
            f"{len(tail):,} answers of {endpoints(tail['unit'])} are more than {FAR} times longer "
            f"than {USUAL:.0%} of their endpoint's; whether the rest was needed is not in the log."
        ),
        test=f"Ask for shorter answers in a part of the traffic, near the usual length ({named}).",
    )


def heavy_reasoning(requests: pl.DataFrame) -> Suggestion | None:
    """Return the endpoints whose output is mostly reasoning; None where there are none."""
    frame = requests.with_columns(unit=endpoint_unit(requests)).filter(
        was_sent() & (pl.col("output_tokens") > 0)
    )
    share = pl.col("reasoning_tokens").fill_null(0).sum() / pl.col("output_tokens").sum()
    units = frame.group_by("unit").agg(calls=pl.len(), share=share)
    heavy = units.filter(
        (pl.col("share") >= MUCH_REASONING) & (pl.col("calls") >= LEAST_ANSWERS)
    ).sort("unit")
    if heavy.is_empty():
        return None
    return Suggestion(
        lever="reasoning",
        label="Lower reasoning effort",
        requests=int(heavy["calls"].sum()),
        why=(
            f"At least {MUCH_REASONING:.0%} of the output of {endpoints(heavy['unit'])} is "
            "reasoning; whether less would do is not in the log."
        ),
        test="Lower the reasoning effort in a part of the traffic, and judge its answers.",
    )
