"""Find simple requests that a smaller model of the same family may answer, to test it."""

import re
import tomllib
from functools import cache
from importlib.resources import files

import polars as pl

from costaudit.contracts.ledger import Suggestion
from costaudit.contracts.run_dir import column
from costaudit.levers.effects import effect_of, endpoint_unit, sent_ok

MAX_QUESTION_TOKENS = 30
MAX_ANSWER_TOKENS = 100
_THOUGHT = (
    r"(?i)```|\b(explain why|step by step|analy[sz]e|compare|evaluate|design|refactor|debug|prove"
    r"|derive|write (an?|the) (essay|article|program|function|script|story)"
    r"|paso a paso|anali[cz]a\w*|compara\w*|evalúa\w*|diseña\w*|demuestra\w*|por qué)\b"
)


def smaller_models(requests: pl.DataFrame, blocks: pl.DataFrame) -> Suggestion | None:
    """Return the simple requests that a smaller model may answer as well; None without any."""
    moved = simple_requests(requests, blocks)
    if moved is None:
        return None
    touched = moved["unit"].is_not_null()
    pairs = requests.select("model", target=moved["model"]).filter(touched).unique()
    named = ", ".join(sorted(f"{model} → {target}" for model, target in pairs.iter_rows()))
    return Suggestion(
        lever="routing",
        label="Smaller model for simple requests",
        requests=int(touched.sum()),
        why=(
            f"First questions of at most {MAX_QUESTION_TOKENS} tokens, answered in at most "
            f"{MAX_ANSWER_TOKENS} tokens without code, tools, images or reasoning. Whether the "
            "smaller model answers them as well is not in the log: a short question can be hard."
        ),
        test=(
            f"Send a sample of them to the smaller model and judge its answers ({named}): "
            "`costaudit route RUN --candidate MODEL`."
        ),
    )


def simple_requests(requests: pl.DataFrame, blocks: pl.DataFrame) -> pl.DataFrame | None:
    """Return an EFFECT that sends simple requests to a smaller model of the family; None without.

    "Simple" means: a short first question of a conversation, without images, without code or words
    that ask for thought (in English or Spanish), answered in text without a tool call or reasoning.
    This is no evidence that the smaller model is good enough; it only checks published claims.
    """
    models = column(requests, "model").unique().drop_nulls().to_list()
    smaller = {model: smaller_model(model) for model in sorted(models)}
    targets = {model: use for model, use in smaller.items() if use}
    if not targets:
        return None
    target = column(requests, "model").replace_strict(targets, default=None, return_dtype=pl.String)
    touched = requests.select(_simple()).to_series() & target.is_not_null()
    touched &= ~_asks_for_thought(requests, blocks, touched)
    if not touched.any():
        return None
    return effect_of(touched, unit=endpoint_unit(requests), model=target)


def smaller_model(model: str) -> str | None:
    """Return the smaller model of the same family and provider; None if there is none."""
    for pattern, use in _targets():
        if match := pattern.match(model.lower()):
            smaller = match.expand(use) if use else ""
            return smaller if smaller and not model.lower().startswith(smaller) else None
    return None


@cache
def _targets() -> tuple[tuple[re.Pattern[str], str], ...]:
    text = files("costaudit.levers").joinpath("targets.toml").read_text("utf-8")
    rows = tomllib.loads(text)["target"]
    return tuple((re.compile(row["models"]), row["use"]) for row in rows)


def _asks_for_thought(requests: pl.DataFrame, blocks: pl.DataFrame, among: pl.Series) -> pl.Series:
    """Return which prompts hold a question that asks for more than a fact."""
    segment = pl.element().struct
    asked = pl.when(segment.field("role") == "user").then(segment.field("block_id"))
    ids = (
        requests.select(block_id=pl.col("segments").list.eval(asked), row=pl.int_range(pl.len()))
        .filter(among)
        .explode("block_id")
    )
    questions = blocks.join(ids, on="block_id", how="semi")
    hard = questions.filter(pl.col("text").str.contains(_THOUGHT))
    rows = ids.join(hard, on="block_id", how="semi")["row"]
    return pl.int_range(len(requests), eager=True).is_in(rows.unique().implode())


def _simple() -> pl.Expr:
    segment = pl.element().struct
    asked = segment.field("role") == "user"
    question = pl.col("segments").list.eval(
        pl.when(asked).then(segment.field("tokens")).otherwise(None)
    )
    pictured = pl.col("segments").list.eval(segment.field("kind").is_in(["image", "document"]))
    questions = pl.col("segments").list.eval(asked).list.sum()
    short = (question.list.sum() <= MAX_QUESTION_TOKENS) & (question.list.sum() > 0)
    return (
        sent_ok()
        & (pl.col("kind") == "chat")
        & (pl.col("turn_index").fill_null(0) == 0)
        & (questions == 1)
        & short
        & ~pictured.list.any().fill_null(False)
        & (pl.col("output_tokens") <= MAX_ANSWER_TOKENS)
        & (pl.col("reasoning_tokens").fill_null(0) == 0)
    ).fill_null(False)
