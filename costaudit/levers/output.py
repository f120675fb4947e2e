"""Find white space that is paid for as output; lengths, limits, schemas and reasoning to test."""

import polars as pl

from costaudit.contracts.ledger import Lever, LeverTable, Suggestion
from costaudit.contracts.requests import INPUT_CLASSES, SENT_TO_PROVIDER
from costaudit.contracts.run_dir import column
from costaudit.levers.effects import effect_of, endpoint_unit, endpoints, sent_ok
from costaudit.levers.prompt_text import COMPACT_JSON, Count, shrunk

USUAL = 0.95  # quantile of an endpoint's answer lengths that counts as usual
FAR = 1.5  # an answer this many times longer than usual is in the tail
LEAST_ANSWERS = 100  # minimum number of answers to judge their tail
MUCH_REASONING = 0.5  # share of an endpoint's output tokens
MANY_CUT = 0.02  # share of an endpoint's answers that end at the limit
LARGE_SCHEMA = 0.2  # share of an endpoint's input tokens


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
    counted = pl.when(_counted()).then("output_tokens")
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
        evidence=(_lengths(requests, tail["unit"].unique()),),
    )


def cut_answers(requests: pl.DataFrame, useless: Lever | None) -> Suggestion | None:
    """Return the endpoints with many answers that end at the limit; None without any.

    The log does not hold the limit itself; the longest answer that was cut shows it. What the
    lever `useless` takes out already is not counted.
    """
    taken = pl.lit(useless.effect["removed"] if useless else None).fill_null(False)
    cut = (pl.col("finish_reason") == "length").fill_null(False) & ~pl.col("taken")
    frame = requests.with_columns(unit=endpoint_unit(requests), taken=taken).filter(_counted())
    units = frame.group_by("unit").agg(answers=pl.len(), cut=cut.sum())
    found = units.filter(
        (pl.col("answers") >= LEAST_ANSWERS) & (pl.col("cut") >= MANY_CUT * pl.col("answers"))
    ).sort("unit")
    if found.is_empty():
        return None
    many = int(found["cut"].sum())
    return Suggestion(
        lever="output_limit",
        label="Answers cut off at the limit",
        requests=many,
        why=(
            f"{many / int(found['answers'].sum()):.1%} of the answers of "
            f"{endpoints(found['unit'])} end at the length limit and are paid in full; whether "
            "they were of use is not in the log."
        ),
        test=(
            "Ask for shorter answers on a sample, and judge them: `costaudit route RUN --candidate "
            f"'openai:{_model(found)}?say=Answer briefly.'`; or raise the limit."
        ),
        evidence=(_lengths(requests, found["unit"]),),
    )


def _counted() -> pl.Expr:
    """Return whether an answer ended by itself or at the limit, with known tokens."""
    ended = sent_ok() & pl.col("finish_reason").is_in(["stop", "length"])
    return (ended & (pl.col("output_tokens") > 0)).fill_null(False)


def _lengths(requests: pl.DataFrame, units: pl.Series) -> LeverTable:
    """Return how long the answers of some units are, and how many reach the limit."""
    tokens = pl.col("output_tokens")
    cut = (pl.col("finish_reason") == "length").fill_null(False)
    frame = requests.with_columns(unit=endpoint_unit(requests)).filter(_counted())
    whole = max(int(frame["output_tokens"].sum()), 1)
    usual = tokens.quantile(USUAL, "higher")
    rows = (
        frame.filter(pl.col("unit").is_in(units.implode())).group_by("unit").agg(
            answers=pl.len(), sum=tokens.sum(), median=tokens.quantile(0.5, "lower"),
            usual=usual, longest=tokens.max(), tail=tokens.filter(tokens > usual * FAR).sum(),
            cut=cut.sum(), limit=tokens.filter(cut).max(),
        ).sort("sum", "unit", descending=[True, False])
    )  # fmt: skip
    return LeverTable(
        "Lengths of answers, in tokens",
        ("where", "model", "answers", "of all output", "median", "95%", "longest",
         "output in the tail", "cut off", "limit, as cut answers show it"),
        tuple(
            (
                *_parted(one["unit"]), f"{one['answers']:,}", f"{one['sum'] / whole:.1%}",
                f"{one['median']:,.0f}", f"{one['usual']:,.0f}", f"{one['longest']:,}",
                f"{one['tail'] / one['sum']:.1%}", f"{one['cut'] / one['answers']:.1%}",
                "none cut" if one["limit"] is None else f"{one['limit']:,}",
            )
            for one in rows.iter_rows(named=True)
        ),
    )  # fmt: skip


def large_schemas(requests: pl.DataFrame, count: Count) -> Suggestion | None:
    """Return the endpoints whose input is in good part the schema of the answer; None without.

    `count` returns a text's tokens.
    """
    schemas = column(requests, "response_format").drop_nulls().unique()
    sizes = pl.DataFrame(
        {"response_format": schemas, "schema": [count(text) for text in schemas]},
        schema={"response_format": pl.String, "schema": pl.Int64},
    )
    sent = pl.sum_horizontal(pl.col(INPUT_CLASSES).fill_null(0))
    frame = (
        requests.with_columns(unit=endpoint_unit(requests), sent=sent)
        .filter(SENT_TO_PROVIDER & (pl.col("sent") > 0))
        .join(sizes, on="response_format", how="inner")
    )
    units = frame.group_by("unit").agg(
        calls=pl.len(), schema=pl.col("schema").sum(), sent=pl.col("sent").sum()
    )
    found = units.filter(
        pl.col("calls") >= LEAST_ANSWERS,
        pl.col("schema") >= LARGE_SCHEMA * pl.col("sent"),
        pl.col("schema") <= pl.col("sent"),  # else the provider does not bill it as input
    ).sort("unit")
    if found.is_empty():
        return None
    share = int(found["schema"].sum()) / int(found["sent"].sum())
    mean = int(found["schema"].sum()) // int(found["calls"].sum())
    return Suggestion(
        lever="structured_output",
        label="Smaller schemas of structured answers",
        requests=int(found["calls"].sum()),
        why=(
            f"The schemas of {endpoints(found['unit'])} have {mean:,} tokens on average, "
            f"{share:.0%} of the input; whether the model needs their descriptions and optional "
            "fields is not in the log."
        ),
        test=(
            "Send a tenth of these calls with shorter names and descriptions for a day, and look "
            "at what changed: `costaudit compare BEFORE AFTER`."
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
    return _parted(units["unit"][0])[1]


def _parted(unit: str) -> tuple[str, str]:
    """Return a unit's endpoint and model."""
    endpoint, _, model = unit.partition(" | ")
    return endpoint, model
