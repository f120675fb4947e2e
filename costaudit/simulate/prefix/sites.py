"""Where in the prompts of a template the moving part stands, and of what kind it is."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from costaudit.simulate.prefix.diffs import Difference, compare_texts
from costaudit.simulate.prefix.groups import Groups
from costaudit.simulate.prefix.mended import Heads
from costaudit.simulate.prefix.prompts import Prompts
from costaudit.simulate.prefix.static import PARTS, Parts
from costaudit.simulate.prefix.texts import Texts, tool_name
from costaudit.simulate.segments import Ints

MAX_COMPARED = 200  # pairs of texts compared per place; the others are taken to be alike
MIN_USERS = 3
_WHOLE_TOOLS = ("tool_order", "tool_set")  # kinds that are about all tools, not about one


@dataclass(frozen=True)
class Site:
    """One place and kind of change in one template."""

    group: int
    kind: str
    where: str
    context: str
    redacted: str
    requests: Ints


def locate_breaks(
    requests: pl.DataFrame,
    blocks: pl.DataFrame,
    prompts: Prompts,
    groups: Groups,
    parts: Parts,
    heads: Heads,
    static: Ints,
    rows: Ints,
) -> list[Site]:
    """Find where each of `rows` leaves the static prefix, and class what differs there."""
    from costaudit.simulate.prefix.part_kernels import break_segments

    offsets = prompts.segments.offsets
    segment = break_segments(offsets, prompts.segment_tokens, static)[rows]
    row_of_segment = np.full(len(prompts.segments.content) + 1, -1, np.int64)
    row_of_segment[heads.segment] = np.arange(len(heads.segment))
    head_row = row_of_segment[segment]
    kinds = prompts.segments.kinds
    breaks = pl.DataFrame(
        {
            "request": rows,
            "group": groups.index[rows],
            "part": parts.part[segment],
            "depth": segment - offsets[rows],
            "content": prompts.segments.content[segment].astype(np.int64),
            "base": np.where(head_row >= 0, heads.base[head_row], -1),
            "is_new": (head_row >= 0) & heads.is_new[head_row],
            "image": np.array([*(kind == "image" for kind in kinds), False])[
                prompts.segments.kind[segment]
            ],
            "user": requests["user"].gather(rows),
        }
    ).filter(pl.Series(segment >= 0))
    texts = Texts(prompts.contents, blocks)
    sites: list[Site] = []
    for (group, part, depth), place in breaks.group_by(
        "group", "part", "depth", maintain_order=True
    ):
        sites.extend(_sites_at(int(group), PARTS[int(part)], int(depth), place, texts))
    return _merged(sites)


def _sites_at(group: int, part: str, depth: int, place: pl.DataFrame, texts: Texts) -> list[Site]:
    pairs = place.unique(["content", "base", "is_new", "image"], maintain_order=True)
    step = max(1, len(pairs) // MAX_COMPARED)
    found = {
        (row["content"], row["base"]): _difference(part, row, texts)
        for row in pairs.gather_every(step).iter_rows(named=True)
    }
    by_user = _goes_with_users(place)
    kinds: list[str] = []
    for content, base in place.select("content", "base").iter_rows():
        known = found.get((content, base))
        kind = known.kind if known else kinds[-1]
        kinds.append("user" if by_user and kind in ("text", "counter") else kind)
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
                 mine["request"].to_numpy())
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
    elif not row["is_new"]:
        kind = "order"
    return replace(found, kind=kind)


def _tool_kind(text: str, base: str, is_new: bool, kind: str) -> str:
    if not is_new:
        return "tool_order"
    if kind in ("json_key_order", "whitespace"):
        return kind
    return "tool_changed" if tool_name(text) == tool_name(base) else "tool_set"


def _goes_with_users(place: pl.DataFrame) -> bool:
    """Tell whether the text at a place is each user's own."""
    known = place.filter(pl.col("user").is_not_null())
    users = known["user"].n_unique()
    pairs = known.select(pl.struct("user", "content").n_unique()).item()
    return bool(users >= MIN_USERS and pairs == users and 2 * known["content"].n_unique() >= users)


def _redacted(kind: str, found: Difference) -> str:
    return f"‹{kind}, {found.part_chars} characters›"


def _merged(sites: list[Site]) -> list[Site]:
    """Put sites of one template, kind and place in words together."""
    merged: dict[tuple[int, str, str], Site] = {}
    for site in sites:
        key = (site.group, site.kind, site.where)
        if key in merged:
            site = Site(*key, merged[key].context, merged[key].redacted,
                        np.concatenate([merged[key].requests, site.requests]))  # fmt: skip
        merged[key] = site
    return list(merged.values())
