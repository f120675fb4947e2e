"""Prompt text that says the same in fewer tokens: pretty-printed JSON, and blocks sent twice."""

import json
import re
from collections.abc import Callable
from statistics import fmean

import polars as pl

from costaudit.contracts.ledger import Lever
from costaudit.levers.effects import cutting, endpoints

LEAST_SAVED_TOKENS = 20  # per block
LEAST_BLOCK_TOKENS = 64  # a shorter repetition is a phrase, not a document
_INDENTED = r'[{\[]\s*\n\s+["{\[\d-]'
_STARTS = re.compile(r"(?m)^[ \t]*(?=[{\[])")
_REPEATED_KINDS = ("text", "document", "tool_result")
Count = Callable[[str], int]


def serialisation(
    requests: pl.DataFrame, blocks: pl.DataFrame, segments: pl.DataFrame, count: Count
) -> Lever | None:
    """Return what JSON without indentation would save; None where there is none.

    `count` returns a text's tokens; it is called twice for each distinct block with indented JSON.
    """
    shrunk = _shrunk(blocks.join(segments, on="block_id", how="semi"), count)
    cuts = segments.join(shrunk, on="block_id").select(
        "row",
        "unit",
        end=pl.col("start") + pl.col("tokens"),
        tokens=(pl.col("tokens") * pl.col("saved_share")).floor().cast(pl.Int64),
    )
    cuts = cuts.with_columns(start=pl.col("end") - pl.col("tokens")).filter(pl.col("tokens") > 0)
    if cuts.is_empty():
        return None
    return Lever(
        lever="serialisation",
        label="JSON in prompts without indentation",
        section="levers",
        rule=(
            f"{len(shrunk):,} distinct blocks in prompts of {endpoints(cuts['unit'])} hold "
            "indented JSON; the same values without white space have "
            f"{fmean(shrunk['saved_share'].to_list()):.0%} fewer tokens on average, "
            "counted with the run's tokenizer."
        ),
        change="Serialise JSON for prompts without indentation: separators=(',', ':').",
        risk="None for the values; models read compact JSON as well as indented JSON.",
        grade="estimated",
        effect=cutting(requests, cuts.select("row", "start", "tokens")),
    )


def _shrunk(blocks: pl.DataFrame, count: Count) -> pl.DataFrame:
    """Return block_id and saved_share of the blocks that compact JSON makes shorter."""
    indented = blocks.filter(
        pl.col("text").str.contains(_INDENTED) & (pl.col("kind") != "tool_definition")
    )
    rows = []
    for block_id, text in indented.select("block_id", "text").iter_rows():
        compact = compact_json(text)
        if len(compact) >= len(text):
            continue
        before = count(text)
        saved = before - count(compact)
        if saved >= LEAST_SAVED_TOKENS:
            rows.append({"block_id": block_id, "saved_share": saved / before})
    return pl.DataFrame(rows, schema={"block_id": pl.String, "saved_share": pl.Float64})


def compact_json(text: str) -> str:
    """Return a text with each JSON object or list that begins a line written without white space.

    The values and their order stay the same; text around them is left as it is.
    """
    decoder = json.JSONDecoder(parse_float=_Verbatim, parse_int=_Verbatim, parse_constant=_refuse)
    parts, done = [], 0
    for match in _STARTS.finditer(text):
        if match.start() < done:
            continue
        try:
            value, end = decoder.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            continue
        parts += [text[done : match.start()], _written(value)]
        done = end
    return "".join((*parts, text[done:]))


class _Verbatim(str):
    """A number as it was written."""


def _refuse(text: str) -> None:
    raise ValueError(text)


def _written(value: object) -> str:
    if isinstance(value, _Verbatim):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(k)}:{_written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return _quoted(value)


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def repeated_blocks(requests: pl.DataFrame, segments: pl.DataFrame) -> Lever | None:
    """Return what a prompt saves if a block that it holds twice stands there once; None without.

    The first place is kept. Answers of the model, which are part of the history, are left alone.
    """
    content = segments.filter(
        pl.col("kind").is_in(_REPEATED_KINDS)
        & (pl.col("role") != "assistant")
        & (pl.col("tokens") >= LEAST_BLOCK_TOKENS)
    )
    again = content.filter(pl.int_range(pl.len()).over("row", "block_id") > 0)
    if again.is_empty():
        return None
    return Lever(
        lever="repeated_blocks",
        label="Blocks that stand twice in one prompt",
        section="levers",
        rule=(
            f"{again['row'].n_unique():,} prompts of {endpoints(again['unit'])} hold a block of "
            f"at least {LEAST_BLOCK_TOKENS} tokens more than once, to the letter; every place "
            "after the first is priced."
        ),
        change="Send each document or result once, and refer to it afterwards.",
        risk="A model may follow an instruction better when it is repeated near the question.",
        grade="estimated",
        effect=cutting(requests, again.select("row", "start", "tokens")),
    )
