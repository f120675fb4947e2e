"""Find tokens that were paid for but that nobody could use, including retries of paid calls."""

import re

import msgspec
import polars as pl

from costaudit.contracts.ledger import Lever
from costaudit.contracts.requests import ANSWERED, SENT_TO_PROVIDER, TOKEN_CLASSES
from costaudit.levers.effects import effect_of, endpoint_unit, endpoints

RETRY_S = 120.0  # a later attempt at the same prompt within this time is a retry
DOUBLE_S = 5.0  # the same prompt again within this time is a double submission
LENGTH_RETRY_S = 600.0
_FENCE = re.compile(r"^```\w*\s*|\s*```$")  # of a code block
_WANTED = pl.col("response_format").str.contains("(?i)json").fill_null(False)
_SAME = ("provider", "model", "endpoint", "tenant", "user", "conversation")


def repeated_calls(requests: pl.DataFrame) -> pl.Series:
    """Return why another call made each one useless: retried, cut-off, double; else null.

    A call is compared with the next one of the same prompt, sender and model. Calls without a
    prompt or a time are in no class; without a user or conversation, none is a double. A retry is
    an attempt with a higher number, so what follows a retry with a lower number is sent anew.
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
    cut = (pl.col("finish_reason") == "length").fill_null(False)
    follows = pl.col("same") == pl.col("same").shift(1)
    classed = ordered.select(
        "row",
        gap=pl.when(follows.shift(-1)).then(gap),
        later=follows.shift(-1) & (attempt.shift(-1) > attempt),
        since=pl.when(follows).then(gap.shift(1)),
        first_ok=follows & (pl.col("ok") & ~cut).shift(1),
        again=follows & (attempt <= attempt.shift(1)),
        named="named",
        ok="ok",
        cut=cut,
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


def invalid_json(
    requests: pl.DataFrame, blocks: pl.DataFrame, useless: Lever | None
) -> Lever | None:
    """Return answers that were to be JSON, are not, and were asked for again; None without any.

    A call counts if its request sets a format of JSON, its answer can't be parsed, and the next
    call of the same sender within RETRY_S begins with the same prompt and brings JSON. `useless`
    is the lever of `waste`: what it takes out, or what follows, is not counted again.
    """
    if not requests.select(_WANTED.any()).item():
        return None
    pairs = _asked_again(requests, useless)
    answers = blocks.join(
        pl.concat([pairs["answer_id"], pairs["next_answer"]]).unique().to_frame("block_id"),
        on="block_id", how="semi",
    ).drop_nulls("text")  # fmt: skip
    parsed = {key: _is_json(text) for key, text in answers.select("block_id", "text").iter_rows()}
    rows = [
        row
        for row, answer, following, prompt, longer in pairs.iter_rows()
        if parsed.get(answer) is False and parsed.get(following) and longer[: len(prompt)] == prompt
    ]
    if not rows:
        return None
    touched = pl.int_range(len(requests), eager=True).is_in(rows)
    unit = endpoint_unit(requests)
    return Lever(
        lever="invalid_json",
        label="Answers that are no JSON and are asked for again",
        section="levers",
        rule=(
            f"{len(rows):,} answers of {endpoints(unit.filter(touched))} were to be JSON and can't "
            f"be parsed; the same prompt went out again within {RETRY_S:.0f} s and brought JSON."
        ),
        change=(
            "Use the provider's strict structured output (a JSON schema with strict: true), which "
            "can't bring anything else, or repair the answer in code."
        ),
        risk="A strict schema supports fewer features, and its first use takes longer.",
        grade="estimated",
        effect=effect_of(touched, unit=unit, removed=True),
    )


def _asked_again(requests: pl.DataFrame, useless: Lever | None) -> pl.DataFrame:
    """Return pairs of calls of one sender: row, answer_id, next_answer, prompt, next_prompt.

    The first one sets a format of JSON, and the second one follows within RETRY_S.
    """
    taken = pl.lit(useless.effect["removed"] if useless else None).fill_null(False)
    ids = pl.col("segments").list.eval(pl.element().struct.field("block_id"))
    frame = requests.select(
        "ts", "answer_id", row=pl.int_range(pl.len()), same=pl.struct(_SAME).hash(), ids=ids,
        ok=ANSWERED & pl.col("ts").is_not_null() & ~taken,
        wanted=_WANTED & (pl.col("finish_reason") == "stop").fill_null(False),
    )  # fmt: skip
    frame = frame.filter(pl.col("ok").fill_null(False)).sort("same", "ts", "row")
    gap = (pl.col("ts").shift(-1) - pl.col("ts")).dt.total_microseconds() / 1e6
    follows = (pl.col("same").shift(-1) == pl.col("same")) & (gap <= RETRY_S)
    return frame.select(
        "row", "answer_id", next_answer=pl.col("answer_id").shift(-1), prompt="ids",
        next_prompt=pl.col("ids").shift(-1), fits=follows & pl.col("wanted"),
    ).filter("fits").drop("fits")  # fmt: skip


def _is_json(text: str) -> bool:
    """Return whether a text is JSON, in a code block or not."""
    try:
        msgspec.json.decode(_FENCE.sub("", text.strip()))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True
