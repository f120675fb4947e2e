"""Find agents that call a tool again with equal arguments, and runs that end without an answer."""

import polars as pl

from costaudit.contracts.ledger import Lever, Suggestion
from costaudit.contracts.requests import SENT_TO_PROVIDER
from costaudit.contracts.run_dir import column
from costaudit.levers.effects import effect_of, endpoint_unit, endpoints

LEAST_REPEATS = 2  # earlier equal calls with equal results that make a loop
LEAST_UNFINISHED = 20  # conversations that ended without an answer
QUIET_S = 3_600.0  # a conversation that continued this short a time before the log's end may go on
_FAILED = (
    r"(?i)^[\s\[(<*#]*(?:error|exception|traceback|fatal|failed|failure|timeout|timed out)\b"
    r'|"(?:is_?)?error"\s*:\s*(?:true|\{|"[^"])|"status"\s*:\s*"(?:error|failed)"'
)


def repeated_calls(
    requests: pl.DataFrame, segments: pl.DataFrame, blocks: pl.DataFrame
) -> pl.DataFrame:
    """Return the calls that repeat a tool call: columns row, conversation and answer_id.

    A call counts if its conversation's history shows the same tool call with the same result at
    least LEAST_REPEATS times before. Results that report a failure are the same result.
    """
    results = blocks.filter(pl.col("kind") == "tool_result")  # first: the pattern is slow
    failed = results.filter(pl.col("text").str.contains(_FAILED))["block_id"]
    steps = segments.select("row", "kind", "block_id").with_columns(
        result=pl.when(
            pl.col("row").shift(-1) == pl.col("row"), pl.col("kind").shift(-1) == "tool_result"
        ).then(pl.col("block_id").shift(-1))
    )
    asked = steps.filter((pl.col("kind") == "tool_use") & pl.col("result").is_not_null())
    is_failure = pl.col("result").is_in(failed.implode())
    asked = asked.with_columns(result=pl.when(~is_failure).then("result"))
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


def loops(requests: pl.DataFrame, segments: pl.DataFrame, blocks: pl.DataFrame) -> Lever | None:
    """Return the calls whose only result was a tool call that was answered before.

    They are those of `repeated_calls`; None if there is no such call.
    """
    useless = repeated_calls(requests, segments, blocks)
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
            f"the same result, or a failure, {LEAST_REPEATS} times or more before in the same "
            "conversation."
        ),
        change=(
            "Stop the agent, or hand it the earlier result, when a call and its result repeat; "
            "wait longer between polls."
        ),
        risk="An agent that polls has to ask again until something changes.",
        grade="estimated",
        effect=effect_of(touched, unit=unit, removed=True),
    )


def unfinished(requests: pl.DataFrame) -> Suggestion | None:
    """Return the agents' conversations that ended with a failure, a cut or a tool call.

    The log may end before a conversation does, and what an unfinished run was worth is not in it;
    None for fewer than LEAST_UNFINISHED.
    """
    calls = requests.with_columns(unit=endpoint_unit(requests)).filter(
        SENT_TO_PROVIDER & pl.col("conversation").is_not_null() & pl.col("ts").is_not_null()
    )
    if calls.is_empty():
        return None
    cut = (pl.col("finish_reason") == "length").fill_null(False)
    acting = (pl.col("answer_kind") == "tool_use").fill_null(False)
    failed = (pl.col("status") == "error").fill_null(False)
    ends = calls.sort("ts", maintain_order=True).group_by("unit", "conversation").agg(
        calls=pl.len(), acts=acting.any(), last=pl.col("ts").last(),
        open=(cut | acting | failed).last(),
    )  # fmt: skip
    runs = ends.filter("acts")
    quiet = pl.duration(seconds=QUIET_S)
    left = runs.filter(pl.col("open") & (pl.col("last") + quiet < column(requests, "ts").max()))
    if len(left) < LEAST_UNFINISHED:
        return None
    return Suggestion(
        lever="unfinished",
        label="Runs of agents that end without an answer",
        requests=int(left["calls"].sum()),
        why=(
            f"{len(left):,} of {len(runs):,} conversations of {endpoints(left['unit'].sort())} "
            "that call tools ended with a tool call, a failure or a cut answer; whether somebody "
            "used their result is not in the log."
        ),
        test=(
            "Limit the steps of a run, and stop it after two equal failures, for a day; then look "
            "at what changed: `costaudit compare BEFORE AFTER`."
        ),
    )
