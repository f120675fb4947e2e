"""Find the divergence points of a template's prompts, and the kind of text there."""

import json
import re
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from costaudit.contracts.prefix import BreakerKind
from costaudit.contracts.run_dir import column
from costaudit.simulate.moving_text import common_ends, moving_part, same_words
from costaudit.simulate.prefix.breakers.mended import MEDIA, TOOLS_DEPTH, Mender
from costaudit.simulate.prefix.caches.static_share import PARTS
from costaudit.simulate.prefix.tree.prompts import Texts, tool_name
from costaudit.simulate.segments import Ints, Whole

CONTEXT_CHARS = 40  # shown on each side of the moving part
MAX_SHOWN_CHARS = 80  # of the moving part
DOCUMENT_CHARS = 200  # a part with so many changed characters is content
_ENVIRONMENT = re.compile(r"(?i)\b(cwd|working dir\w*|branch|git|directory|os version)\b")
_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")  # an e-mail address names the user
_CHUNK_END = re.compile(r"\n|(?<=\.) ")
_TOKEN = re.compile(r"[\w.,:/+-]+")


@dataclass(frozen=True)
class Difference:
    """Where and how a text differs from the previous text at its place."""

    kind: BreakerKind
    start: int  # index of the first character that differs
    part_chars: int  # length of the moving part, which may begin before `start`
    chars: int  # of the whole text
    context: str  # the text around it, with the moving part in ‹ ›


def compare_texts(text: str, base: str) -> Difference:
    """Classify the difference of two texts by the first character that differs."""
    start, tail = common_ends(text, base)
    kind, first, last = moving_part(text, min(start, len(text) - 1))
    if not kind and base:
        kind = moving_part(base, min(start, len(base) - 1))[0]
    if same_words(text, base):
        kind = "whitespace"
    elif _same_json(text, base):
        kind = "json_key_order"
    elif not kind:
        kind = _kind(text, base, start, tail)
    end = _end(text, start, tail)
    if last > first and kind not in ("whitespace", "json_key_order"):
        end = last
    first = min(first, start)
    return Difference(kind, start, end - first, len(text), show(text, first, end))


def show(text: str, start: int, end: int) -> str:
    """Return the moving part in ‹ ›, with some text around it."""
    left, right = text[max(0, start - CONTEXT_CHARS) : start], text[end : end + CONTEXT_CHARS]
    middle = text[start:end]
    if len(middle) > MAX_SHOWN_CHARS:
        middle = middle[:MAX_SHOWN_CHARS] + "…"
    return f"{left}‹{middle}›{right}"


def _end(text: str, start: int, tail: int) -> int:
    """Return the end of the differing part: the end of its line or sentence, or earlier."""
    stop = _CHUNK_END.search(text, start)
    return max(start, min(len(text) - tail, stop.start() if stop else len(text)))


def _new_chars(text: str, base: str) -> int:
    """Return the number of characters in lines and sentences that `base` does not have."""
    known = set(_CHUNK_END.split(base))
    return sum(len(chunk) for chunk in _CHUNK_END.split(text) if chunk not in known)


def _kind(text: str, base: str, start: int, tail: int) -> BreakerKind:
    between = max(len(text), len(base)) - tail - start
    if min(between, max(_new_chars(text, base), _new_chars(base, text))) > DOCUMENT_CHARS:
        return "documents"
    if _address_at(text, start) and _address_at(base, start):
        return "user"
    if _number_at(text, start) and _number_at(base, start):
        return "counter"
    line = text[text.rfind("\n", 0, start) + 1 : start]
    return "environment" if _ENVIRONMENT.search(line) else "text"


def _address_at(text: str, start: int) -> bool:
    line = text.rfind("\n", 0, start) + 1
    around = text[max(line, start - CONTEXT_CHARS) : start + CONTEXT_CHARS]
    place = start - max(line, start - CONTEXT_CHARS)
    return any(m.start() <= place <= m.end() for m in _ADDRESS.finditer(around))


def _number_at(text: str, start: int) -> bool:
    for match in _TOKEN.finditer(text, max(0, start - 20)):
        if match.end() >= start:
            word = match.group().strip(".,:")
            return match.start() <= start and word.replace(",", "").replace(".", "").isdigit()
    return False


def _same_json(text: str, base: str) -> bool:
    if text[:1] not in "{[" or base[:1] not in "{[":
        return False
    try:
        return bool(json.loads(text) == json.loads(base))
    except ValueError:
        return False


_FORMS = ("whitespace", "json_key_order")
MAX_COMPARED = 200  # pairs of texts compared per place; the others are assumed to be similar
MIN_USERS = 3
_WHOLE_TOOLS = ("tool_order", "tool_set")  # kinds that concern all tools, not one
MIN_TURNS = 3  # minimum number of requests with each of the alternating texts
MAX_VARIANTS = 8  # up to so many alternating texts are variants; more are changing text
PLACES = (*PARTS, "message")  # place of a break: a part, or the first user message
MESSAGE = len(PARTS)


@dataclass(frozen=True)
class Site:
    """One place and kind of change in one template."""

    group: int
    kind: BreakerKind
    where: str
    context: str
    redacted: str
    requests: Whole
    depth: int  # of the segment that differs, from 0; TOOLS_DEPTH for the order of all tools


def locate_breaks(requests: pl.DataFrame, source: Mender, live: Ints, rows: Ints) -> list[Site]:
    """Find where each of `rows` leaves its live prefix, and classify the difference.

    `live` holds the prefix's tokens, per request.
    """
    from costaudit.simulate.prefix.caches.share_kernels import break_segments

    prompts, heads = source.prompts, source.heads
    offsets = prompts.segments.offsets
    segment = break_segments(offsets, prompts.segment_tokens, live)[rows]
    row_of_segment = np.full(len(prompts.segments.content) + 1, -1, np.int32)
    row_of_segment[heads.segment] = np.arange(len(heads.segment), dtype=np.int32)
    head_row = row_of_segment[segment]
    kinds = prompts.segments.kinds
    of_message = (head_row >= 0) & np.append(heads.in_message, False)[head_row]
    breaks = pl.DataFrame(
        {
            "request": rows,
            "group": source.groups.index[rows],
            "part": np.where(of_message, MESSAGE, source.parts.part[segment]),
            "depth": segment - offsets[rows],
            "content": prompts.segments.content[segment].astype(np.int64),
            "base": np.where(head_row >= 0, heads.base[head_row], -1),
            "is_new": (head_row >= 0) & heads.is_new[head_row],
            "image": np.array([*(kind in MEDIA for kind in kinds), False])[
                prompts.segments.kind[segment]
            ],
            "user": column(requests, "user").gather(rows),
        }
    ).filter(pl.Series(segment >= 0))
    texts = Texts(prompts.contents, source.blocks)
    sites: list[Site] = []
    for (group, part, depth), place in breaks.group_by(
        "group", "part", "depth", maintain_order=True
    ):
        sites.extend(_sites_at(int(group), PLACES[int(part)], int(depth), place, texts))
    return _merged(sites)


def _sites_at(group: int, part: str, depth: int, place: pl.DataFrame, texts: Texts) -> list[Site]:
    pairs = place.unique(["content", "base", "is_new", "image"], maintain_order=True)
    step = max(1, len(pairs) // MAX_COMPARED)
    found = {
        (row["content"], row["base"]): _difference(part, row, texts)
        for row in pairs.gather_every(step).iter_rows(named=True)
    }
    by_user, by_turns = _goes_with_users(place), part != "tools" and _alternates(place)
    kinds: list[BreakerKind] = []
    for content, base in place.select("content", "base").iter_rows():
        known = found.get((content, base))
        kind = known.kind if known else kinds[-1]
        if kind in ("text", "counter", "order", "documents"):
            kind = "user" if by_user and kind in ("text", "counter") else kind
            kind = "variant" if by_turns and kind in ("text", "order") else kind
        kinds.append(kind)
    place = place.with_columns(kind=pl.Series(kinds))
    sites = []
    for kind in sorted(set(kinds)):
        mine = place.filter(pl.col("kind") == kind)
        first = next(
            found[key] for key in mine.select("content", "base").iter_rows() if key in found
        )
        where = (
            "tools"
            if kind in _WHOLE_TOOLS
            else f"{part}, block {depth + 1}, character {first.start + 1:,} of {first.chars:,}"
        )
        sites.append(
            Site(group, kind, where, first.context, _redacted(kind, first),
                 mine["request"].to_numpy(), TOOLS_DEPTH if kind == "tool_order" else depth)
        )  # fmt: skip
    return sites


def _difference(part: str, row: dict[str, int], texts: Texts) -> Difference:
    text, base = texts.text(row["content"]), texts.text(row["base"])
    found = compare_texts(text, base)
    kind = found.kind
    if row["image"]:
        kind = "image"
    elif part == "tools":
        kind = _tool_kind(text, base, bool(row["is_new"]), kind)
    elif not row["is_new"] and kind in ("text", "documents"):
        kind = "order"
    return replace(found, kind=kind)


def _tool_kind(text: str, base: str, is_new: bool, kind: BreakerKind) -> BreakerKind:
    if not is_new:
        return "tool_order"
    if kind in _FORMS:
        return kind
    return "tool_changed" if tool_name(text) == tool_name(base) else "tool_set"


def _goes_with_users(place: pl.DataFrame) -> bool:
    """Return whether each user has their own text at a place."""
    known = place.filter(pl.col("user").is_not_null())
    users = known["user"].n_unique()
    pairs = known.select(pl.struct("user", "content").n_unique()).item()
    return bool(users >= MIN_USERS and pairs == users and 2 * known["content"].n_unique() >= users)


def _alternates(place: pl.DataFrame) -> bool:
    """Return whether a few frequent texts alternate at a place."""
    often = place["content"].value_counts()["count"].to_list()
    return 2 <= len(often) <= MAX_VARIANTS and min(often) >= MIN_TURNS


def _redacted(kind: BreakerKind, found: Difference) -> str:
    return f"‹{kind}, {found.part_chars} characters›"


def _merged(sites: list[Site]) -> list[Site]:
    """Merge sites of the same template, kind and printed place."""
    merged: dict[tuple[int, str, str], Site] = {}
    for site in sites:
        key = (site.group, site.kind, site.where)
        if key in merged:
            both = np.concatenate([merged[key].requests, site.requests])
            site = replace(merged[key], requests=both)
        merged[key] = site
    return list(merged.values())
