"""Answers far longer than the rest of their endpoint could be kept shorter."""

import polars as pl

from costaudit.contracts.ledger import Lever
from costaudit.levers.effects import effect_of, endpoint_unit, sent_ok

USUAL = 0.95  # quantile of an endpoint's answer lengths that counts as usual
FAR = 1.5  # an answer this many times longer than usual is in the tail
LEAST_ANSWERS = 100  # fewer have no tail worth the name


def output_length(requests: pl.DataFrame) -> Lever | None:
    """Propose a length limit per endpoint and model; None where no answer is far above it."""
    answered = sent_ok() & pl.col("finish_reason").is_in(["stop", "length"])
    counted = pl.when(answered & (pl.col("output_tokens") > 0)).then("output_tokens")
    frame = requests.with_columns(unit=endpoint_unit(requests)).select(
        "unit",
        tokens=counted,
        usual=counted.quantile(USUAL, "higher").over("unit").cast(pl.Int64),
        answers=counted.count().over("unit"),
    )
    far = (pl.col("tokens") > pl.col("usual") * FAR) & (pl.col("answers") >= LEAST_ANSWERS)
    touched = frame.select(far.fill_null(False)).to_series()
    if not touched.any():
        return None
    limits = frame.filter(touched).select("unit", "usual").unique().sort("unit")
    named = "; ".join(f"{unit}: {usual:,}" for unit, usual in limits.iter_rows())
    return Lever(
        lever="output",
        label="Limit on the longest answers",
        section="levers",
        rule=(
            f"Answers more than {FAR} times longer than {USUAL:.0%} of their endpoint's, cut to "
            "that length; whether the rest was needed is not measured."
        ),
        change=f"Ask for shorter answers, and set max_tokens near the usual length ({named}).",
        grade="assumed",
        effect=effect_of(touched, unit=frame["unit"], output_tokens=frame["usual"]),
    )
