"""Compiled loops over the parts of prompts and over block caches of any capacity."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Small = NDArray[np.int32]
Codes = NDArray[np.int8]
Flags = NDArray[np.bool_]

TOOLS, SYSTEM, EXAMPLES, DOCUMENTS, HISTORY, QUESTION = 0, 1, 2, 3, 4, 5
ROLE_TOOLS, ROLE_SYSTEM, ROLE_ASSISTANT = 0, 1, 3


@njit(cache=True, nogil=True)
def end_nodes(seg_offsets: Ints, seg_node: Small, chosen: Flags, nodes: int) -> Flags:
    """Return flags of the nodes at which a prompt ends."""
    found = np.zeros(nodes, np.bool_)
    for request in range(len(chosen)):
        if chosen[request] and seg_offsets[request + 1] > seg_offsets[request]:
            found[seg_node[seg_offsets[request + 1] - 1]] = True
    return found


@njit(cache=True, nogil=True)
def node_visits(seg_offsets: Ints, seg_node: Small, chosen: Flags, nodes: int) -> Ints:
    """Return the number of prompts that pass the end of each segment."""
    visits = np.zeros(nodes, np.int64)
    for request in range(len(chosen)):
        if chosen[request]:
            for segment in range(seg_offsets[request], seg_offsets[request + 1]):
                visits[seg_node[segment]] += 1
    return visits


@njit(cache=True, nogil=True)
def _head_end(first: int, last: int, role: Codes) -> int:
    segment = first
    while segment < last and role[segment] in (ROLE_TOOLS, ROLE_SYSTEM):
        segment += 1
    return segment


@njit(cache=True, nogil=True)
def _question_start(first: int, last: int, role: Codes) -> int:
    segment = last
    while segment > first and role[segment - 1] not in (
        ROLE_TOOLS,
        ROLE_SYSTEM,
        ROLE_ASSISTANT,
    ):
        segment -= 1
    return segment


@njit(cache=True, nogil=True)
def _examples_end(
    first: int, last: int, seg_node: Small, visits: Ints, ends: Flags, enough: int
) -> int:
    """Return the end of the examples: messages that many prompts share and at which none ends."""
    found = first
    for segment in range(first, last):
        here = seg_node[segment]
        if ends[here] or visits[here] < enough:
            break
        found = segment + 1
    return found


@njit(cache=True, nogil=True)
def segment_parts(
    seg_offsets: Ints, role: Codes, is_document: Flags, seg_node: Small, visits: Ints, ends: Flags,
    enough: Ints,
) -> Codes:  # fmt: skip
    """Return the part of the prompt to which each segment belongs."""
    part = np.zeros(len(role), np.int8)
    for request in range(len(seg_offsets) - 1):
        first, last = seg_offsets[request], seg_offsets[request + 1]
        head = _head_end(first, last, role)
        question = max(head, _question_start(first, last, role))
        examples = _examples_end(head, question, seg_node, visits, ends, enough[request])
        for segment in range(first, last):
            if segment < head:
                part[segment] = TOOLS if role[segment] == ROLE_TOOLS else SYSTEM
            elif segment < examples:
                part[segment] = EXAMPLES
            elif is_document[segment] or question <= segment < last - 1:
                part[segment] = DOCUMENTS
            else:
                part[segment] = HISTORY if segment < question else QUESTION
    return part


@njit(cache=True, nogil=True)
def first_messages(seg_offsets: Ints, role: Codes) -> Flags:
    """Return flags of the segments between each prompt's head and its first answer."""
    found = np.zeros(len(role), np.bool_)
    for request in range(len(seg_offsets) - 1):
        first, last = seg_offsets[request], seg_offsets[request + 1]
        segment = _head_end(first, last, role)
        while segment < last and role[segment] != ROLE_ASSISTANT:
            found[segment] = True
            segment += 1
    return found


@njit(cache=True, nogil=True)
def segment_shares(seg_offsets: Ints, seg_tokens: Small, static: Small) -> tuple[Small, Small]:
    """Return each prompt's tokens, and those of its static prefix, by segment."""
    size = np.zeros(len(seg_tokens), np.int32)
    inside = np.zeros(len(seg_tokens), np.int32)
    for request in range(len(static)):
        before = np.int64(0)
        for segment in range(seg_offsets[request], seg_offsets[request + 1]):
            size[segment] = seg_tokens[segment] - before
            inside[segment] = min(max(static[request] - before, 0), size[segment])
            before = np.int64(seg_tokens[segment])
    return size, inside


@njit(cache=True, nogil=True)
def sums_by_part(
    seg_offsets: Ints, group: Ints, groups: int, part: Codes, parts: int, values: Small
) -> Ints:
    """Return the sums of a count per segment by the request's group (rows) and part (columns)."""
    sums = np.zeros((groups, parts), np.int64)
    for request in range(len(group)):
        if group[request] < 0:
            continue
        for segment in range(seg_offsets[request], seg_offsets[request + 1]):
            sums[group[request], part[segment]] += values[segment]
    return sums


@njit(cache=True, nogil=True)
def break_segments(seg_offsets: Ints, seg_tokens: Small, static: Ints) -> Ints:
    """Return the segment in which each prompt leaves its static prefix; -1 if it does not."""
    found = np.full(len(static), -1, np.int64)
    for request in range(len(static)):
        for segment in range(seg_offsets[request], seg_offsets[request + 1]):
            if seg_tokens[segment] > static[request]:
                found[request] = segment
                break
    return found


@njit(cache=True, nogil=True)
def turn_overlaps(
    seg_offsets: Ints, content: Small, seg_tokens: Small, previous: Ints
) -> tuple[Ints, Ints, Flags]:
    """Compare each prompt with the previous one of its conversation, segment by segment.

    Return the tokens of the equal beginning, its number of segments, and whether the earlier prompt
    has the next segment further on, so that its oldest messages were cut off.
    """
    tokens = np.zeros(len(previous), np.int64)
    covered = np.zeros(len(previous), np.int64)
    slid = np.zeros(len(previous), np.bool_)
    for request in range(len(previous)):
        before = previous[request]
        if before < 0:
            continue
        first, last = seg_offsets[request], seg_offsets[request + 1]
        old, old_last = seg_offsets[before], seg_offsets[before + 1]
        count = 0
        while first + count < last and old + count < old_last:
            if content[first + count] != content[old + count]:
                break
            count += 1
        covered[request] = count
        if count > 0:
            tokens[request] = seg_tokens[first + count - 1]
        if first + count < last:
            slid[request] = (content[old + count : old_last] == content[first + count]).any()
    return tokens, covered, slid


NEVER = 2**62  # distance of a block that was not seen before


@njit(cache=True, nogil=True)
def _add(tree: Small, place: int, change: int) -> None:
    while place < len(tree):
        tree[place] += change
        place += place & -place


@njit(cache=True, nogil=True)
def _sum(tree: Small, place: int) -> int:
    total = 0
    while place > 0:
        total += tree[place]
        place -= place & -place
    return total


@njit(cache=True, nogil=True)
def prefix_distances(offsets: Ints, block: Ints, blocks: int) -> Ints:
    """Return the capacity above which each block of a prefix is hit in an LRU cache.

    The stack distance of a block counts the distinct blocks used since its last use (by a Fenwick
    tree over uses, Olken 1981). A block of a prefix is hit only if those before it are, so its
    distance is the largest so far. It is NEVER if some block was not seen before.
    """
    tree = np.zeros(len(block) + 1, np.int32)
    last = np.zeros(blocks, np.int64)  # use after which a block was not used again, from 1
    result = np.zeros(len(block), np.int64)
    for request in range(len(offsets) - 1):
        longest = 0
        for use in range(offsets[request], offsets[request + 1]):
            here = block[use]
            distance = NEVER
            if last[here] > 0:
                distance = _sum(tree, use) - _sum(tree, last[here])
                _add(tree, last[here], -1)
            longest = max(longest, distance)
            result[use] = longest
            last[here] = use + 1
            _add(tree, use + 1, 1)
    return result


@njit(cache=True, nogil=True)
def block_counts(offsets: Ints, tokens: Small, order: Ints, size: int) -> Ints:
    """Return the number of whole blocks of each prompt, in the given order."""
    counts = np.zeros(len(order) + 1, np.int64)
    for place in range(len(order)):
        request = order[place]
        last = offsets[request + 1] - 1
        total = tokens[last] if last >= offsets[request] else 0
        counts[place + 1] = counts[place] + total // size
    return counts


@njit(cache=True, nogil=True)
def fill_blocks(
    offsets: Ints, node: Small, tokens: Small, order: Ints, size: int, starts: Ints
) -> tuple[Ints, Ints]:
    """Return each whole block's node at its end and its number in the prompt."""
    ends_in = np.zeros(starts[-1], np.int64)
    number = np.zeros(starts[-1], np.int64)
    for place in range(len(order)):
        request = order[place]
        at = offsets[request]
        for block in range(starts[place + 1] - starts[place]):
            while tokens[at] < (block + 1) * size:
                at += 1
            ends_in[starts[place] + block] = node[at]
            number[starts[place] + block] = block
    return ends_in, number
