"""Where in a template's prompts a cache marker could stand."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from costaudit.simulate.prefix.groups import Groups
from costaudit.simulate.prefix.prompts import Prompts
from costaudit.simulate.prefix.static import HEAD_PARTS, PARTS, Parts
from costaudit.simulate.segments import Ints

REPEATED_SHARE = 0.5  # of the requests at a place begin as an earlier one did: it is static


@dataclass(frozen=True)
class Anchors:
    """Segments after which a marker could stand, per request; -1 where there is none."""

    tools: Ints  # the last tool
    static: Ints  # the last block of the head that most requests share
    last: Ints  # the end of the prompt
    own: Ints  # where a provider would set its own marker
    static_part: tuple[str, ...]  # per template: the part that the static head ends in
    static_block: tuple[int, ...]  # which block of that part it is, from 0; -1 for its last


def find_anchors(prompts: Prompts, groups: Groups, parts: Parts) -> Anchors:
    """Find the ends of tools, of the static head and of the prompt."""
    from costaudit.simulate.prefix.marker_kernels import last_endings

    offsets = prompts.segments.offsets
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    chosen = np.flatnonzero((parts.part < HEAD_PARTS) & (groups.index[owner] >= 0))
    rows = pl.DataFrame(
        {
            "group": groups.index[owner[chosen]],
            "depth": chosen - offsets[owner[chosen]],
            "part": parts.part[chosen],
            "node": prompts.segment_node[chosen],
        }
    )
    places = rows.group_by("group", "depth").agg(
        repeated=1 - pl.col("node").n_unique() / pl.len(), often=pl.len(), part=pl.col("part").max()
    )
    total = pl.Series([group.requests for group in groups.groups], dtype=pl.UInt32)
    places = places.with_columns(all=total.gather(places["group"])).filter(
        pl.col("repeated") >= REPEATED_SHARE, 2 * pl.col("often") >= pl.col("all")
    )
    tools = places.filter(pl.col("part") == PARTS.index("tools"))
    count = len(groups.groups)
    ends = _static_ends(places, rows)
    return Anchors(
        tools=_segments(prompts, groups, _deepest(tools, count)),
        static=_segments(prompts, groups, _deepest(places, count)),
        last=np.where(groups.index >= 0, offsets[1:] - 1, -1),
        own=last_endings(offsets, prompts.segments.role),
        static_part=tuple(ends.get(group, ("", -1))[0] for group in range(count)),
        static_block=tuple(ends.get(group, ("", -1))[1] for group in range(count)),
    )


def _static_ends(places: pl.DataFrame, rows: pl.DataFrame) -> dict[int, tuple[str, int]]:
    """Say per template in which part its static head ends, and with which block of it."""
    spans = rows.group_by("group", "part").agg(
        first=pl.col("depth").min(), last=pl.col("depth").max()
    )
    ends = places.sort("depth").unique("group", keep="last").join(spans, on=["group", "part"])
    return {
        row["group"]: (
            PARTS[row["part"]],
            -1 if row["depth"] == row["last"] else row["depth"] - row["first"],
        )
        for row in ends.iter_rows(named=True)
    }


def _deepest(places: pl.DataFrame, count: int) -> Ints:
    found = np.full(count, -1, np.int64)
    deepest = places.group_by("group").agg(pl.col("depth").max())
    found[deepest["group"].to_numpy()] = deepest["depth"].to_numpy()
    return found


def _segments(prompts: Prompts, groups: Groups, depth: Ints) -> Ints:
    offsets = prompts.segments.offsets
    of_request = np.append(depth, -1)[groups.index]
    segment = offsets[:-1] + of_request
    return np.where((of_request >= 0) & (segment < offsets[1:]), segment, -1)
