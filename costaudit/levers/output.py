"""Find white space that is paid for as output, and lengths and reasoning to test."""

import polars as pl

from costaudit.contracts.ledger import Lever, Suggestion
from costaudit.contracts.requests import SENT_TO_PROVIDER
from costaudit.levers.effects import effect_of, endpoint_unit, endpoints, sent_ok
from costaudit.levers.prompt_text import COMPACT_JSON, Count, shrunk

USUAL = 0.95  # quantile of an endpoint's answer lengths that counts as usual
FAR = 1.5  # an answer this many times longer than usual is in the tail
LEAST_ANSWERS = 100  # minimum number of answers to judge their tail
MUCH_REASONING = 0.5  # share of an endpoint's output tokens


def indented_answers(requests: pl.DataFrame, blocks: pl.DataFrame, count: Count) -> Lever | None:
    """Return what answers in JSON save without indentation; None if none is indented.

    `count` returns a text's tokens. Reasoning, which is billed as output too, stays as it is.
    """
    answered = requests.filter(sent_ok() & (pl.col("finish_reason") == "stop").fill_null(False))
    written = blocks.join(answered, left_on="block_id", right_on="answer_id", how="semi")
    short = shrunk(written, count, COMPACT_JSON)
    if short.is_empty():
        return None
    joined = requests.select(
        "output_tokens",
        answer_id="answer_id",
        said=pl.col("output_tokens") - pl.col("reasoning_tokens").fill_null(0),
        fits=(sent_ok() & (pl.col("finish_reason") == "stop")).fill_null(False),
    ).join(short, left_on="answer_id", right_on="block_id", how="left", maintain_order="left")
    less = joined.select(
        left=pl.col("output_tokens")
        - (pl.col("said") * pl.col("saved_share")).floor().cast(pl.Int64),
        touched=pl.col("fits") & (pl.col("said") * pl.col("saved_share") >= 1).fill_null(False),
    )
    unit = endpoint_unit(requests)
    where = endpoints(unit.filter(less["touched"]))
    return Lever(
        lever="indented_answers",
        label="Answers in JSON without indentation",
        section="levers",
        rule=(
            f"{int(less['touched'].sum()):,} answers of {where} are indented JSON; the same values "
            f"without white space have {float(short['saved_share'].to_numpy().mean()):.0%} fewer "
            "tokens on average, counted with the run's tokenizer."
        ),
        change=(
            "Ask for JSON on one line, without white space, in the system prompt and in its "
            "examples, or use the provider's structured output, which writes it so."
        ),
        risk="A model may forget a format that is only asked for; whoever reads must not need it.",
        grade="estimated",
        effect=effect_of(less["touched"], unit=unit, output_tokens=less["left"]),
    )


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
        test=(
            f"Ask for shorter answers, near the usual length ({named}), on a sample: `costaudit "
            f"route RUN --candidate 'openai:{_model(limits)}?say=Answer briefly.'`."
        ),
    )


def heavy_reasoning(requests: pl.DataFrame) -> Suggestion | None:
    """Return the endpoints whose output is mostly reasoning; None if there are none."""
    frame = requests.with_columns(unit=endpoint_unit(requests)).filter(
        SENT_TO_PROVIDER & (pl.col("output_tokens") > 0)
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
        test=(
            "Lower the reasoning effort on a sample, and judge its answers: `costaudit route RUN "
            f"--candidate 'openai:{_model(heavy)}?effort=low'`."
        ),
    )


def _model(units: pl.DataFrame) -> str:
    """Return the model of the first unit."""
    return str(units["unit"][0]).partition(" | ")[2]
