"""Find tokens that were paid for but that nobody could use, including retries of paid calls."""

import polars as pl

from costaudit.contracts.ledger import Lever
from costaudit.contracts.requests import ANSWERED, SENT_TO_PROVIDER, TOKEN_CLASSES
from costaudit.levers.effects import effect_of

RETRY_S = 120.0  # a later attempt at the same prompt within this time is a retry
DOUBLE_S = 5.0  # the same prompt again within this time is a double submission
LENGTH_RETRY_S = 600.0
_SAME = ("provider", "model", "endpoint", "tenant", "user", "conversation")


def repeated_calls(requests: pl.DataFrame) -> pl.Series:
    """Return why another call made each one useless: retried, cut-off, double; else null.

    A call is compared with the next one of the same prompt, sender and model. Calls without a
    prompt or a time are in no class; without a user or conversation, none is a double.
    """
    prompt = pl.col("segments").list.eval(pl.element().struct.field("block_id")).hash()
    has_both = pl.col("ts").is_not_null() & (pl.col("segments").list.len() > 0)
    frame = requests.select(
        "ts",
        "attempt",
        "finish_reason",
        same=pl.struct(prompt.alias("prompt"), *_SAME).hash(),
        named=pl.col("user").is_not_null() | pl.col("conversation").is_not_null(),
        ok=ANSWERED,
        eligible=has_both & SENT_TO_PROVIDER,
    ).with_row_index("row")
    ordered = frame.filter("eligible").sort("same", "ts", "row")
    gap = (pl.col("ts").shift(-1) - pl.col("ts")).dt.total_microseconds() / 1e6
    attempt = pl.col("attempt").fill_null(0)
    follows = pl.col("same") == pl.col("same").shift(1)
    classed = ordered.select(
        "row",
        gap=pl.when(follows.shift(-1)).then(gap),
        later=follows.shift(-1) & (attempt.shift(-1) > attempt),
        since=pl.when(follows).then(gap.shift(1)),
        first_ok=follows & pl.col("ok").shift(1),
        again=follows & (attempt == attempt.shift(1)),
        named="named",
        ok="ok",
        cut=pl.col("finish_reason") == "length",
    ).with_columns(
        kind=pl.when(pl.col("ok") & pl.col("later") & (pl.col("gap") <= RETRY_S))
        .then(pl.lit("retried"))
        .when(pl.col("ok") & pl.col("cut") & (pl.col("gap") <= LENGTH_RETRY_S))
        .then(pl.lit("cut-off"))
        .when("ok", "first_ok", "again", "named", pl.col("since") <= DOUBLE_S)
        .then(pl.lit("double"))
    )
    joined = frame.select("row").join(
        classed.select("row", "kind"), on="row", how="left", maintain_order="left"
    )
    return joined["kind"]


_SAYS = {
    "failed": "billed although they failed",
    "retried": f"retried within {RETRY_S:.0f} s although they were answered",
    "cut-off": f"cut off at the length limit and sent again within {LENGTH_RETRY_S:.0f} s",
    "double": f"sent twice within {DOUBLE_S:.0f} s",
}


def waste(requests: pl.DataFrame) -> Lever | None:
    """Return the lever that removes useless calls; None if there are none."""
    billed = pl.sum_horizontal(pl.col(TOKEN_CLASSES).fill_null(0)) > 0
    failed = requests.select(
        (SENT_TO_PROVIDER & (pl.col("status") == "error") & billed).fill_null(False)
    ).to_series()
    kind = requests.select(
        pl.when(failed).then(pl.lit("failed")).otherwise(repeated_calls(requests))
    ).to_series()
    touched = kind.is_not_null()
    if not touched.any():
        return None
    counts = dict(kind.drop_nulls().value_counts().iter_rows())
    said = ", ".join(f"{counts[name]:,} {text}" for name, text in _SAYS.items() if name in counts)
    return Lever(
        lever="waste",
        label="Calls that nobody could use",
        section="levers",
        rule=f"Calls by kind: {said}.",
        change=(
            "Retry only what failed, with a timeout longer than the slowest answer; send an "
            "idempotency key; disable the button while a request runs."
        ),
        risk="A user may have asked for a second answer on purpose.",
        grade="estimated",
        effect=effect_of(touched, unit=kind, removed=True),
    )
