"""Infer heads that a log lacks: agents' files leave out the system prompt and the tools."""

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.contracts.requests import INPUT_CLASSES, READS_COUNTED
from costaudit.simulate.segments import ROLES, Ints, Segments, Small, any_in

T = TypeVar("T", bound=np.generic)
KIND = "unseen"
MIN_TOKENS = 1024  # of a head; a smaller difference may be the tokenizer's
MIN_SHARE = 0.5  # minimum share of the first call's input
RATIO = (0.5, 2.0)  # limits of billed / counted tokens of visible text
MIN_GROWTH = 50  # minimum number of tokens between two calls that show the ratio
_SESSION = ("session", "agent", "conversation", "model")
_MEDIA = ("image", "document", "file", "audio", "video")


@dataclass(frozen=True)
class Unseen:
    """Segments, including the heads inferred from counters."""

    segments: Segments
    warm: Small  # per request: segment up to which a call before the log wrote; -1 for none


def with_unseen_heads(requests: pl.DataFrame, blocks: pl.DataFrame, segments: Segments) -> Unseen:
    """Return prompts with a head of constant size, for sessions whose bill shows one.

    A session's head is the part of its first call's bill that exceeds the logged text. Its first
    part is what the first call read from the cache, written by earlier sessions. The rest is the
    session's own. Nothing is inferred if prompts show tools, a system prompt or media, or were
    billed without caching.
    """
    count = len(requests)
    nothing = Unseen(segments, np.full(count, -1, np.int32))
    rows = _candidates(requests, blocks, segments)
    if rows is None:
        return nothing
    heads = _heads(rows)
    if heads.is_empty():
        return nothing
    return _inserted(segments, rows.join(heads, on="group").sort("row"), count)


def _candidates(
    requests: pl.DataFrame, blocks: pl.DataFrame, segments: Segments
) -> pl.DataFrame | None:
    """Return the requests without a visible head, with their billed and counted tokens."""
    if not len(segments.content):
        return None
    shown = (segments.role == ROLES.index("tools")) | (segments.role == ROLES.index("system"))
    media = np.array([*(kind in _MEDIA for kind in segments.kinds), False])[segments.kind]
    bare = ~any_in(shown | media, segments.offsets) & (np.diff(segments.offsets) > 0)
    rows = requests.select(
        "ts",
        pl.struct(_SESSION).rank("dense").alias("group"),
        named=pl.coalesce("session", "conversation").is_not_null(),
        billed=pl.sum_horizontal(INPUT_CLASSES),
        read=pl.col("cache_read_tokens").fill_null(0),
        counted=READS_COUNTED,
    ).with_row_index("row")
    rows = rows.filter(pl.Series(bare), "named", "counted", pl.col("billed") > 0)
    rows = rows.filter((pl.col("billed") >= MIN_TOKENS).any().over("group"))
    if rows.is_empty() or not (rows["read"] > 0).any():
        return None
    return rows.with_columns(seen=pl.Series(_seen(blocks, segments))[rows["row"]])


def _seen(blocks: pl.DataFrame, segments: Segments) -> Ints:
    """Return the tokens of each request's visible blocks, by the run's tokenizer."""
    tokens = np.append(blocks["tokens"].fill_null(0).to_numpy().astype(np.int64), 0)
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(tokens[segments.block])])
    return np.asarray(before[segments.offsets[1:]] - before[segments.offsets[:-1]])


def _heads(rows: pl.DataFrame) -> pl.DataFrame:
    """Return, per session, the head's tokens, the part that was read first, and the ratio."""
    rows = rows.sort("ts", "row", nulls_last=True)
    grown = pl.col("seen").diff().over("group")
    ratio = pl.when(grown >= MIN_GROWTH).then(pl.col("billed").diff().over("group") / grown)
    found = (
        rows.with_columns(ratio=ratio)
        .group_by("group", maintain_order=True)
        .agg(
            pl.col("ratio").median().fill_null(1.0).clip(*RATIO),
            first=pl.col("billed").first(),
            seen_first=pl.col("seen").first(),
            read_first=pl.col("read").first(),
        )
        .with_columns(
            head=(pl.col("first") - pl.col("ratio") * pl.col("seen_first")).round().cast(pl.Int64)
        )
    )
    found = found.filter(
        pl.col("head") >= MIN_TOKENS, pl.col("head") >= MIN_SHARE * pl.col("first")
    )
    shared = pl.min_horizontal("read_first", "head")
    return found.select("group", "head", shared=shared)


def _inserted(segments: Segments, rows: pl.DataFrame, count: int) -> Unseen:
    """Return prompts with two inserted segments: the shared and the own part of the head."""
    owners = rows["row"].to_numpy()
    billed, head = rows["billed"].to_numpy(), rows["head"].to_numpy()
    head = np.minimum(head, billed)
    shared = np.minimum(rows["shared"].to_numpy(), head)
    sizes = np.diff(segments.offsets)
    extra = np.zeros(count, np.int64)
    extra[owners] = 2
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes + extra)])
    moved = np.arange(len(segments.content)) + np.repeat(np.cumsum(extra), sizes)
    at = np.concatenate([offsets[owners], offsets[owners] + 1])

    def spread(old: NDArray[T], new: NDArray[Any]) -> NDArray[T]:
        whole = np.zeros(offsets[-1], old.dtype)
        whole[moved], whole[at] = old, new
        return whole

    names = rows.select(
        one=pl.col("shared").rank("dense"),
        two=pl.struct("group", "head").rank("dense"),
    )
    one = segments.contents + names["one"].to_numpy().astype(np.int64) - 1
    two = int(one.max()) + names["two"].to_numpy().astype(np.int64)
    same = np.ones(len(at))
    visible = _visible(segments, rows, billed - head)
    warm = np.full(count, -1, np.int32)
    first = (
        rows.with_row_index("n").sort("ts", "row", nulls_last=True).unique("group", keep="first")
    )
    seeded = first.filter(pl.col("read") > 0)["n"].to_numpy()
    warm[owners[seeded]] = offsets[owners[seeded]]
    return Unseen(
        replace(
            segments,
            offsets=offsets,
            content=spread(segments.content, np.concatenate([one, two])),
            block=spread(segments.block, -same),
            role=spread(segments.role, same * ROLES.index("system")),
            marker=spread(segments.marker, same * 0),
            kind=spread(segments.kind, same * len(segments.kinds)),
            tokens=spread(visible, np.concatenate([shared, head - shared])),
            kinds=(*segments.kinds, KIND),
            contents=int(two.max()) + 1,
        ),
        warm,
    )


def _visible(segments: Segments, rows: pl.DataFrame, left: Ints) -> NDArray[np.int32]:
    """Return the tokens of visible segments, scaled to the bill without the head."""
    known = np.maximum(segments.tokens, 0)
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(known)])
    whole = before[segments.offsets[1:]] - before[segments.offsets[:-1]]
    share = np.ones(len(whole))
    mine = rows["row"].to_numpy()
    share[mine] = left / np.maximum(whole[mine], 1)
    of_segment = np.repeat(share, np.diff(segments.offsets))
    return np.where(segments.tokens >= 0, np.round(known * of_segment), -1).astype(np.int32)
