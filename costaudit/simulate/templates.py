"""Which requests share a system prompt, its moving parts left aside."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.simulate.moving_text import Skeleton, Texts, masked
from costaudit.simulate.segments import ROLES, Ints, Segments, flat_segments

MIN_VALUES = 8  # a number that takes as many values for one tenant is a counter
MIN_USERS = 3  # a text that goes with as many users of one tenant is a user's name
MAX_SPAN_CHARS = 80  # longer spans are content, never a name or a counter
FRESH_VALUES = 20  # as many values, each in few requests, are one per request or conversation
MAX_REQUESTS_PER_VALUE = 3.0
_NUMBER = re.compile(r"[\d.,:%\s$€£+-]*\d[\d.,:%\s$€£+-]*")


@dataclass(frozen=True)
class _Traffic:
    """One row per request that has a system prompt."""

    text: NDArray[np.int64]  # index of its distinct masked text
    tenant: NDArray[np.int64]  # 0 where none was logged
    user: NDArray[np.int64]  # 0 where none was logged


def system_templates(
    requests: pl.DataFrame, blocks: pl.DataFrame, segments: Segments | None = None
) -> pl.Series:
    """Number the system prompts of `requests` by template: Int32, aligned with them.

    Two prompts are of one template if they are equal once moving parts are taken out. A part
    moves by its class (timestamp, date, identifier, see `moving`), or by the traffic: among
    prompts that share most of their text, a span of at most MAX_SPAN_CHARS that
    - is a number and takes MIN_VALUES values within one tenant (a counter; policies that say
      24 hours here and 48 there stay apart),
    - or differs from user to user of one tenant (a name),
    - or takes FRESH_VALUES values that each serve few requests.
    No system prompt is a template of its own, and so is each one whose text was not kept. Ids
    count up in order of first appearance.
    `segments` saves laying them out again.
    """
    if segments is None and requests["segments"].null_count() == len(requests):
        return pl.Series("system_template", [0], pl.Int32).new_from_index(0, len(requests))
    segments = segments or flat_segments(requests, blocks)
    raw, systems = _distinct_systems(segments, blocks)
    unread = np.array([*(text is None for text in systems), False])[raw]
    texts, of_raw = _masked_texts([text or "" for text in systems])
    text = np.where(raw >= 0, np.array([*of_raw, -1])[raw], -1)
    has = (text >= 0) & ~unread
    callers = requests.select("tenant", "user").filter(pl.Series(has))
    traffic = _Traffic(text[has], _numbers(callers["tenant"]), _numbers(callers["user"]))
    template = np.array([*_template_keys(texts, traffic), -1])[text]
    template[unread] = len(texts.texts) + raw[unread]
    _, first, inverse = np.unique(template, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    return pl.Series("system_template", rank[inverse], dtype=pl.Int32)


def _distinct_systems(segments: Segments, blocks: pl.DataFrame) -> tuple[Ints, list[str | None]]:
    """Return each request's index of its distinct system prompt, -1 for none, and their texts.

    A prompt has none where a block's text was not kept.
    """
    is_system = segments.role == ROLES.index("system")
    owner = np.repeat(np.arange(len(segments.offsets) - 1), np.diff(segments.offsets))
    parts = pl.DataFrame(
        {
            "request": owner[is_system],
            "content": segments.content[is_system],
            "block": segments.block[is_system],
        }
    )
    prompts = parts.group_by("request", maintain_order=True).agg("content", "block")
    distinct = prompts.unique("content", keep="first", maintain_order=True).with_row_index("raw")
    numbered = prompts.join(distinct.select("raw", "content"), on="content", how="left")
    raw = np.full(len(segments.offsets) - 1, -1, np.int64)
    raw[numbered["request"].to_numpy()] = numbered["raw"].to_numpy()
    used = np.unique(parts["block"].to_numpy())
    known = dict(zip(used.tolist(), _block_texts(blocks, used), strict=True))
    return raw, [_joined([known[block] for block in row]) for row in distinct["block"].to_list()]


def _block_texts(blocks: pl.DataFrame, rows: NDArray[np.int32]) -> list[str | None]:
    places = pl.Series(rows)
    return blocks["text"].gather(places.set(places < 0, None)).to_list()


def _joined(parts: Sequence[str | None]) -> str | None:
    kept = [part for part in parts if part is not None]
    return "\n".join(kept) if len(kept) == len(parts) else None


def _masked_texts(systems: list[str]) -> tuple[Texts, list[int]]:
    """Mask line by distinct line; return the distinct texts that remain, and which is whose.

    Line ends and runs of white space make no other text.
    """
    one_form = (
        pl.Series("text", systems, dtype=pl.String)
        .str.replace_all("\r\n?", "\n")
        .str.replace_all(r"[ \t]{2,}|\t", " ")  # single spaces stay, which is much faster
        .str.replace_all(" \n ?|\n ", "\n")
    )
    split = one_form.to_frame().with_row_index("raw")
    lines = split.with_columns(pl.col("text").str.split("\n")).explode("text")
    known = lines.select(pl.col("text").unique(maintain_order=True))["text"]
    masks, of_line = _distinct(masked(known).to_list())
    number = pl.DataFrame({"text": known, "line": pl.Series(of_line, dtype=pl.Int64)})
    numbered = lines.join(number, on="text", how="left", maintain_order="left")
    rows = numbered.group_by("raw", maintain_order=True).agg("line")
    distinct = rows.unique("line", keep="first", maintain_order=True).with_row_index("number")
    of_raw = rows.join(
        distinct.select("line", "number"), on="line", how="left", maintain_order="left"
    )
    texts = Texts(tuple(masks), tuple(row.to_numpy() for row in distinct["line"]))
    return texts, of_raw["number"].to_list()


def _distinct(texts: Sequence[str]) -> tuple[list[str], list[int]]:
    numbers: dict[str, int] = {}
    positions = [numbers.setdefault(text, len(numbers)) for text in texts]
    return list(numbers), positions


def _numbers(values: pl.Series) -> Ints:
    """Number the values from 1; 0 where there is none."""
    return values.rank("dense").fill_null(0).to_numpy().astype(np.int64)


def _template_keys(texts: Texts, traffic: _Traffic) -> list[int]:
    """Return for each distinct masked text the number of its template."""
    order = np.argsort(-np.bincount(traffic.text, minlength=len(texts.texts)), kind="stable")
    keys: dict[tuple[object, ...], int] = {}
    result = [0] * len(texts.texts)
    for number, skeleton in enumerate(texts.skeletons(order.tolist())):
        still = _static_values(texts, skeleton, traffic)
        for text, values in zip(skeleton.members, still, strict=True):
            result[text] = keys.setdefault((number, *values), len(keys))
    return result


def _static_values(texts: Texts, skeleton: Skeleton, traffic: _Traffic) -> list[tuple[str, ...]]:
    """List per member the spans that do not move: members with the same ones are one template."""
    members = skeleton.members
    if len(members) == 1:
        return [()]
    place = np.full(len(texts.texts), -1)
    place[members] = np.arange(len(members))
    mine = place[traffic.text] >= 0
    member = place[traffic.text[mine]]
    still = [
        values
        for values in texts.slots(skeleton)
        if not _moves(values, member, traffic.tenant[mine], traffic.user[mine])
    ]
    return list(zip(*still, strict=True)) if still else [()] * len(members)


def _moves(values: tuple[str, ...], member: Ints, tenant: Ints, user: Ints) -> bool:
    if max(map(len, values)) > MAX_SPAN_CHARS:
        return False
    _, positions = _distinct(values)
    seen = pl.DataFrame({"value": np.array(positions)[member], "tenant": tenant, "user": user})
    per_tenant = seen.group_by("tenant").agg(
        values=pl.col("value").n_unique(),
        requests=pl.len(),
        users=pl.col("user").filter(pl.col("user") > 0).n_unique(),
        pairs=pl.struct("user", "value").filter(pl.col("user") > 0).n_unique(),
    )
    counters = pl.col("values") >= MIN_VALUES
    if all(_NUMBER.fullmatch(value) for value in values if value):
        return bool(per_tenant.select(counters.any()).item())
    fresh = (pl.col("values") >= FRESH_VALUES) & (
        pl.col("requests") <= MAX_REQUESTS_PER_VALUE * pl.col("values")
    )
    of_users = (
        (pl.col("users") >= MIN_USERS)
        & (pl.col("pairs") == pl.col("users"))
        & (2 * pl.col("values") >= pl.col("users"))
    )
    return bool(per_tenant.select((fresh | of_users).any()).item())
