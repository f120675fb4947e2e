"""Find agents that call a tool again with equal arguments and get an equal result."""

import polars as pl

from costaudit.contracts.ledger import Lever
from costaudit.levers.effects import effect_of, endpoint_unit, endpoints

LEAST_REPEATS = 2  # earlier equal calls with equal results that make a loop


def repeated_calls(requests: pl.DataFrame, segments: pl.DataFrame) -> pl.DataFrame:
    """Return the calls that repeat a tool call: columns row, conversation and answer_id.

    A call counts if its conversation's history shows the same tool call with the same result at
    least LEAST_REPEATS times before.
    """
    steps = segments.select("row", "kind", "block_id").with_columns(
        result=pl.when(
            pl.col("row").shift(-1) == pl.col("row"), pl.col("kind").shift(-1) == "tool_result"
        ).then(pl.col("block_id").shift(-1))
    )
    asked = steps.filter((pl.col("kind") == "tool_use") & pl.col("result").is_not_null())
    who = requests.with_row_index("row").select(
        pl.col("row").cast(pl.Int64),
        "conversation",
        "answer_id",
        "ts",
        tool_use=pl.col("answer_kind") == "tool_use",
    )
    longest = (
        asked.group_by("row").len().join(who, on="row").drop_nulls("conversation")
        .sort("len", "row").group_by("conversation", maintain_order=True).last()
    )  # fmt: skip
    # The n-th equal answer of a conversation is the n-th equal call in its longest history.
    pairs = (
        asked.join(longest.select("row", "conversation"), on="row")
        .with_columns(nth=pl.int_range(pl.len()).over("conversation", "block_id"))
        .with_columns(seen=pl.int_range(pl.len()).over("conversation", "block_id", "result"))
        .filter(pl.col("seen") >= LEAST_REPEATS)
    )
    answers = (
        who.filter("tool_use").drop_nulls(["conversation", "answer_id"]).sort("ts", "row")
        .with_columns(nth=pl.int_range(pl.len()).over("conversation", "answer_id"))
    )  # fmt: skip
    found = answers.join(
        pairs, left_on=["conversation", "answer_id", "nth"],
        right_on=["conversation", "block_id", "nth"], how="semi",
    )  # fmt: skip
    return found.select("row", "conversation", "answer_id")


def loops(requests: pl.DataFrame, segments: pl.DataFrame) -> Lever | None:
    """Return the calls whose only result was a tool call that was answered before.

    A call counts if its conversation's history shows the same tool call with the same result at
    least LEAST_REPEATS times before; None if there is no such call.
    """
    useless = repeated_calls(requests, segments)
    if useless.is_empty():
        return None
    touched = pl.int_range(len(requests), eager=True).is_in(useless["row"].implode())
    unit = endpoint_unit(requests)
    return Lever(
        lever="loops",
        label="Tool calls repeated with equal results",
        section="levers",
        rule=(
            f"{len(useless):,} calls in {useless['conversation'].n_unique():,} conversations of "
            f"{endpoints(unit.filter(touched))} asked for a tool with arguments that had brought "
            f"the same result {LEAST_REPEATS} times or more before in the same conversation."
        ),
        change=(
            "Stop the agent, or hand it the earlier result, when a call and its result repeat; "
            "wait longer between polls."
        ),
        risk="An agent that polls has to ask again until something changes.",
        grade="estimated",
        effect=effect_of(touched, unit=unit, removed=True),
    )
