"""Find prompt text that needs fewer tokens: JSON, white space, encoded data, repetitions."""

import json
import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

import polars as pl

from costaudit.contracts.ledger import Lever
from costaudit.levers.effects import cutting, endpoints

LEAST_SAVED_TOKENS = 20  # per block
LEAST_BLOCK_TOKENS = 64  # a shorter repetition is a phrase, not a document
_INDENTED = r'[{\[]\s*\n\s+["{\[\d-]'
_BLANKS = r"\S[ \t]{8,}\S|[ \t]{4,}\n|\n{4,}"
_PADDING = (
    (re.compile(r"[ \t]+(?=\r?\n|$)"), ""),  # at the end of a line
    (re.compile(r"(?<=\S)[ \t]{3,}(?=\S)"), "  "),  # inside a line; its start is left alone
    (re.compile(r"(?:\r?\n){3,}"), "\n\n"),
)
_ENCODED = r"[A-Za-z0-9+/]{200,}={0,2}"
_RUNS = re.compile(r"(?:data:[\w/+.-]+;base64,)?([A-Za-z0-9+/]{200,}={0,2})")
_STARTS = re.compile(r"(?m)^[ \t]*(?=[{\[])")
_REPEATED_KINDS = ("text", "document", "tool_result")
Count = Callable[[str], int]


@dataclass(frozen=True)
class Rewriting:
    """One way to write the same in fewer tokens."""

    lever: str
    label: str
    suspect: str  # regular expression, in Polars' dialect: blocks that it may shorten
    shorter: Callable[[str], str]
    what: str  # what the blocks hold, for a sentence
    instead: str  # what is counted instead, for the same sentence
    change: str
    risk: str
    kinds: tuple[str, ...] = ()  # kinds of blocks; empty: all except tool definitions


def rewritten(
    requests: pl.DataFrame,
    blocks: pl.DataFrame,
    segments: pl.DataFrame,
    count: Count,
    how: Rewriting,
) -> Lever | None:
    """Return what a rewriting of prompts would save; None if there is nothing to rewrite.

    `count` returns a text's tokens; it is called twice for each distinct block that is rewritten.
    """
    sent = blocks.join(segments, on="block_id", how="semi")
    found = shrunk(sent, count, how)
    cuts = segments.join(found, on="block_id").select(
        "row",
        "unit",
        end=pl.col("start") + pl.col("tokens"),
        tokens=(pl.col("tokens") * pl.col("saved_share")).floor().cast(pl.Int64),
    )
    cuts = cuts.with_columns(start=pl.col("end") - pl.col("tokens")).filter(pl.col("tokens") > 0)
    if cuts.is_empty():
        return None
    return Lever(
        lever=how.lever,
        label=how.label,
        section="levers",
        rule=(
            f"{len(found):,} distinct blocks in prompts of {endpoints(cuts['unit'])} hold "
            f"{how.what}; {how.instead} "
            f"{fmean(found['saved_share'].to_list()):.0%} fewer tokens on average, "
            "counted with the run's tokenizer."
        ),
        change=how.change,
        risk=how.risk,
        grade="estimated",
        effect=cutting(requests, cuts.select("row", "start", "tokens")),
    )


def shrunk(blocks: pl.DataFrame, count: Count, how: Rewriting) -> pl.DataFrame:
    """Return block_id and saved_share of the blocks that a rewriting makes shorter."""
    kinds = pl.col("kind").is_in(how.kinds) if how.kinds else pl.col("kind") != "tool_definition"
    suspects = blocks.filter(kinds).filter(pl.col("text").str.contains(how.suspect))
    rows = []
    for block_id, text in suspects.select("block_id", "text").iter_rows():
        short = how.shorter(text)
        if len(text) - len(short) < LEAST_SAVED_TOKENS:  # a token has at least one character
            continue
        before = count(text)
        saved = before - count(short)
        if saved >= LEAST_SAVED_TOKENS:
            rows.append({"block_id": block_id, "saved_share": saved / before})
    return pl.DataFrame(
        rows, schema={"block_id": blocks.schema["block_id"], "saved_share": pl.Float64}
    )


def compact_json(text: str) -> str:
    """Return a text without white space in JSON objects and lists that begin a line.

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


def without_padding(text: str) -> str:
    """Return a text without blanks at line ends, columns of blanks and runs of empty lines.

    The start of a line stays as it is: it may be the indentation of code.
    """
    for pattern, instead in _PADDING:
        text = pattern.sub(instead, text)
    return text


def without_encoded(text: str) -> str:
    """Return a text without its base64 data: long runs that can be decoded and are not words."""
    return _RUNS.sub(lambda match: "" if _is_encoded(match.group(1)) else match.group(), text)


def _is_encoded(run: str) -> bool:
    mixed = re.search("[a-z]", run) and re.search("[A-Z]", run) and re.search("[0-9]", run)
    if not mixed:
        return False
    bare = run.rstrip("=")
    try:
        data = b64decode(bare[: len(bare) // 4 * 4], validate=True)
    except ValueError:
        return False
    return len(set(data)) > 16


COMPACT_JSON = Rewriting(
    lever="serialisation",
    label="JSON in prompts without indentation",
    suspect=_INDENTED,
    shorter=compact_json,
    what="indented JSON",
    instead="the same values without white space have",
    change="Serialise JSON for prompts without indentation: separators=(',', ':').",
    risk="None for the values; models read compact JSON as well as indented JSON.",
)
PADDING = Rewriting(
    lever="padding",
    label="Prompts without blanks that pad",
    suspect=_BLANKS,
    shorter=without_padding,
    what="columns of blanks, blanks at line ends or runs of empty lines",
    instead="without them they have",
    change=(
        "Strip line ends, and join columns and empty lines, before the text is put into a "
        "prompt; keep what a line starts with."
    ),
    risk="A table whose columns are separated by blanks alone needs two of them.",
    kinds=("text", "document", "tool_result"),
)
ENCODED = Rewriting(
    lever="encoded",
    label="Prompts without base64 data as text",
    suspect=_ENCODED,
    shorter=without_encoded,
    what="base64 data as text, which a model can't see as an image or a file",
    instead="without it they have",
    change="Leave the data out, or send it as an image or file part, which bills by its own size.",
    risk="A task that is about the encoded characters themselves needs them.",
    kinds=("text", "document", "tool_result"),
)


def repeated_blocks(requests: pl.DataFrame, segments: pl.DataFrame) -> Lever | None:
    """Return what a prompt saves if it holds a repeated block only once; None without one.

    The first place is kept. The model's answers in the history are not changed.
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
        label="Blocks that are in one prompt twice",
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
