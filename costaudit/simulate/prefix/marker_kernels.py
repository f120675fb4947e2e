"""Compiled loops that tell where caches are written and where a read may land."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Small = NDArray[np.int32]
Codes = NDArray[np.int8]
Flags = NDArray[np.bool_]

TOOLS, SYSTEM, USER, ASSISTANT, TOOL = 0, 1, 2, 3, 4


@njit(cache=True, nogil=True)
def nearest_ends(seg_offsets: Ints, tokens: Small, chosen: Flags, sought: Ints) -> Ints:
    """Find the segment of each chosen prompt that ends nearest to the tokens sought; else -1."""
    found = np.full(len(chosen), -1, np.int64)
    for request in range(len(chosen)):
        if not chosen[request]:
            continue
        best = seg_offsets[request]
        for segment in range(seg_offsets[request], seg_offsets[request + 1]):
            if abs(tokens[segment] - sought[request]) < abs(tokens[best] - sought[request]):
                best = segment
        found[request] = best
    return found


@njit(cache=True, nogil=True)
def head_sizes(seg_offsets: Ints, role: Codes) -> Ints:
    """Count the tools and system segments with which each prompt begins."""
    sizes = np.zeros(len(seg_offsets) - 1, np.int64)
    for request in range(len(sizes)):
        first, last = seg_offsets[request], seg_offsets[request + 1]
        while first + sizes[request] < last and role[first + sizes[request]] in (TOOLS, SYSTEM):
            sizes[request] += 1
    return sizes


@njit(cache=True, nogil=True)
def _back_from(first: int, marker: int, run: Codes, positions: int, lookup: Flags) -> None:
    """Flag the last `positions` positions up to a marker; a run of tool blocks is one position."""
    seen = 1
    for segment in range(marker, first - 1, -1):
        if segment < marker and (run[segment] == 0 or run[segment] != run[segment + 1]):
            seen += 1
        if seen > positions:
            return
        lookup[segment] = True


@njit(cache=True, nogil=True)
def explicit_flags(
    seg_offsets: Ints, chosen: Flags, tokens: Small, marker: Codes, granted: Codes, run: Codes,
    minimum: Ints, most: Ints, positions: Ints,
) -> tuple[Codes, Flags]:  # fmt: skip
    """Tell where markers write, and where the search back from each may read.

    `granted` gives, by request and code, the lifetime that the provider grants for a marker.
    """
    writes = np.zeros(len(marker), np.int8)
    lookup = np.zeros(len(marker), np.bool_)
    for request in range(len(chosen)):
        if not chosen[request]:
            continue
        first, left = seg_offsets[request], most[request]
        for segment in range(seg_offsets[request + 1] - 1, first - 1, -1):
            if marker[segment] > 0 and left > 0:
                left -= 1
                if tokens[segment] >= minimum[request]:
                    writes[segment] = granted[request, marker[segment]]
                    _back_from(first, segment, run, positions[request], lookup)
    return writes, lookup


@njit(cache=True, nogil=True)
def _is_ending(first: int, last: int, segment: int, role: Codes) -> bool:
    """Tell whether a message ends here at which the provider may set a marker by itself."""
    here = role[segment]
    if segment + 1 < last and role[segment + 1] == here:
        return False
    if here in (USER, TOOL):
        return True
    if here != SYSTEM:
        return False
    return _heads(first, segment, role)


@njit(cache=True, nogil=True)
def _heads(first: int, last: int, role: Codes) -> bool:
    """Tell whether only tools and system segments stand in first:last."""
    segment = first
    while segment < last and role[segment] in (TOOLS, SYSTEM):
        segment += 1
    return segment == last


@njit(cache=True, nogil=True)
def last_endings(seg_offsets: Ints, role: Codes) -> Ints:
    """Find the segment at which the provider sets its own marker in each prompt; -1 for none."""
    found = np.full(len(seg_offsets) - 1, -1, np.int64)
    for request in range(len(found)):
        first, last = seg_offsets[request], seg_offsets[request + 1]
        for segment in range(last - 1, first - 1, -1):
            if _is_ending(first, last, segment, role):
                found[request] = segment
                break
    return found


@njit(cache=True, nogil=True)
def _flag_markers(
    first: int, last: int, own: int, slots: int, head: int, tail: int, marker: Codes,
    granted: Codes, writes: Codes, lookup: Flags,
) -> None:  # fmt: skip
    """Flag the latest explicit markers as writes, the first and the latest as lookups."""
    count = 0
    for segment in range(first, last):
        count += marker[segment] > 0
    seen = 0
    for segment in range(first, last):
        if marker[segment] == 0:
            continue
        if segment != own and count - seen <= slots:
            writes[segment] = granted[marker[segment]]
        if seen < head or count - seen <= tail:
            lookup[segment] = True
        seen += 1


@njit(cache=True, nogil=True)
def implicit_flags(
    seg_offsets: Ints, chosen: Flags, tokens: Small, marker: Codes, granted: Codes, role: Codes,
    own: Ints, minimum: Ints, most: Ints, endings: Ints, head: Ints, tail: Ints,
) -> tuple[Codes, Flags]:  # fmt: skip
    """Tell where the provider's own and the explicit markers write, and where a read may land.

    `own` is the segment of the provider's own marker, -1 where the request forbids it; reads land
    on markers and, with an own marker, on the `endings` latest message endings before it.
    An own marker lives as long as an explicit one at the same place asks, else `granted[:, 0]`.
    """
    writes = np.zeros(len(marker), np.int8)
    lookup = np.zeros(len(marker), np.bool_)
    for request in range(len(chosen)):
        if not chosen[request]:
            continue
        first, last = seg_offsets[request], seg_offsets[request + 1]
        at = own[request]
        slots = most[request] - (at >= 0)
        _flag_markers(
            first,
            last,
            at,
            slots,
            head[request],
            tail[request],
            marker,
            granted[request],
            writes,
            lookup,
        )
        if at >= 0:
            writes[at], lookup[at] = granted[request, max(marker[at], 0)], True
            left = endings[request]
            for segment in range(at - 1, first - 1, -1):
                if _is_ending(first, last, segment, role) and (left > 0 or role[segment] == SYSTEM):
                    left -= 1
                    lookup[segment] = True
        for segment in range(first, last):
            if tokens[segment] < minimum[request]:
                writes[segment] = 0
    return writes, lookup
