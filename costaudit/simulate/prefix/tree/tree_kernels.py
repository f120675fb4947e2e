"""Compiled loops that compare texts and find common beginnings of texts and prompts."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Small = NDArray[np.int32]
Bytes = NDArray[np.uint8]
Keys = NDArray[np.uint64]
Codes = NDArray[np.int8]
Hops = NDArray[np.int32]  # (requests or 0, 3)

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@njit(cache=True, nogil=True)
def common_heads(data: Bytes, starts: Ints, sizes: Ints, order: Ints, group: Ints) -> Ints:
    """Return the bytes that each text in `order` shares with the previous one; 0 across groups."""
    shared = np.zeros(len(order), np.int64)
    for place in range(1, len(order)):
        one, other = order[place - 1], order[place]
        if group[one] != group[other]:
            continue
        limit = min(sizes[one], sizes[other])
        left, right = starts[one], starts[other]
        size = 0
        while size < limit and data[left + size] == data[right + size]:
            size += 1
        shared[place] = size
    return shared


@njit(cache=True, nogil=True)
def common_ends(
    data: Bytes, starts: Ints, sizes: Ints, left: Ints, right: Ints
) -> tuple[Ints, Ints]:
    """Return the bytes that pairs of texts share at the beginning and, in the rest, at the end."""
    heads = np.zeros(len(left), np.int64)
    tails = np.zeros(len(left), np.int64)
    for pair in range(len(left)):
        a, b = left[pair], right[pair]
        limit = min(sizes[a], sizes[b])
        head = 0
        while head < limit and data[starts[a] + head] == data[starts[b] + head]:
            head += 1
        a_end, b_end = starts[a] + sizes[a] - 1, starts[b] + sizes[b] - 1
        tail = 0
        while tail < limit - head and data[a_end - tail] == data[b_end - tail]:
            tail += 1
        heads[pair], tails[pair] = head, tail
    return heads, tails


@njit(cache=True, nogil=True)
def shared_intervals(shared: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the prefix tree of sorted texts, built from their shared lengths.

    Return each text's innermost interval, each interval's parent (-1 at the top) and its length.
    """
    count = len(shared)
    leaf = np.full(count, -1, np.int64)
    parent = np.full(count + 1, -1, np.int64)
    length = np.zeros(count + 1, np.int64)
    stack = np.zeros(count + 1, np.int64)  # stack[0] is below all intervals
    stack[0] = -1
    height, made = 0, 0
    for place in range(1, count + 1):
        here = shared[place] if place < count else 0
        popped = -1
        if height == 0 or length[stack[height]] >= here:
            leaf[place - 1] = stack[height]
            while height > 0 and length[stack[height]] > here:
                popped = stack[height]
                height -= 1
        if here > 0 and (height == 0 or length[stack[height]] < here):
            length[made], parent[made] = here, stack[height]
            if popped >= 0:
                parent[popped] = made
            else:
                leaf[place - 1] = made
            height += 1
            stack[height] = made
            made += 1
    return leaf, parent[:made], length[:made]


@njit(cache=True, nogil=True)
def kept_ancestors(parent: Ints, length: Ints, by_length: Ints, min_bytes: int) -> Ints:
    """Return each interval's nearest kept ancestor: itself if it adds at least `min_bytes`."""
    kept = np.full(len(parent), -1, np.int64)
    for interval in by_length:
        above = kept[parent[interval]] if parent[interval] >= 0 else -1
        reach = length[above] if above >= 0 else 0
        kept[interval] = interval if length[interval] - reach >= min_bytes else above
    return kept


@njit(cache=True, nogil=True)
def piece_counts(leaf: Ints, kept: Ints, parent: Ints) -> Ints:
    """Return the number of pieces of each text: its kept intervals and its own rest."""
    counts = np.ones(len(leaf), np.int64)
    for text in range(len(leaf)):
        interval = kept[leaf[text]] if leaf[text] >= 0 else -1
        while interval >= 0:
            counts[text] += 1
            interval = kept[parent[interval]] if parent[interval] >= 0 else -1
    return counts


@njit(cache=True, nogil=True)
def fill_pieces(
    leaf: Ints, kept: Ints, parent: Ints, length: Ints, sizes: Ints, offsets: Ints
) -> tuple[Small, Ints]:
    """Return each text's pieces and their ends, in bytes; the last piece is its own."""
    piece = np.zeros(offsets[-1], np.int32)
    end = np.zeros(offsets[-1], np.int64)
    for text in range(len(leaf)):
        at = offsets[text + 1] - 1
        piece[at] = len(parent) + text
        end[at] = sizes[text]
        interval = kept[leaf[text]] if leaf[text] >= 0 else -1
        while interval >= 0:
            at -= 1
            piece[at] = interval
            end[at] = length[interval]
            interval = kept[parent[interval]] if parent[interval] >= 0 else -1
    return piece, end


@njit(cache=True, nogil=True)
def _slot(keys: Keys, key: np.uint64) -> np.uint64:
    mask = np.uint64(len(keys) - 1)
    mixed = key * _MULTIPLIER
    place = (mixed ^ (mixed >> np.uint64(32))) & mask
    while keys[place] != 0 and keys[place] != key:
        place = (place + np.uint64(1)) & mask
    return place


@njit(cache=True, nogil=True)
def _grown(keys: Keys, values: Small) -> tuple[Keys, Small]:
    new_keys = np.zeros(2 * len(keys), np.uint64)
    new_values = np.zeros(2 * len(keys), np.int32)
    for place in range(len(keys)):
        if keys[place] != 0:
            slot = _slot(new_keys, keys[place])
            new_keys[slot], new_values[slot] = keys[place], values[place]
    return new_keys, new_values


@njit(cache=True, nogil=True)
def grow_tree(
    order: Ints, root: Small, roots: int, seg_offsets: Ints, content: Small, piece_offsets: Ints,
    piece: Small, offsets: Ints, role: Codes, hops: Hops,
) -> tuple[Small, int]:  # fmt: skip
    """Build the tree of prompts: equal nodes are equal beginnings below the same root.

    `hops` holds, per request, the settings before everything, after the tools, and after tools and
    system (0 for none); it has no rows without settings. Return the node after each piece of each
    prompt, and the number of nodes.
    """
    keys = np.zeros(1 << 16, np.uint64)
    values = np.zeros(1 << 16, np.int32)
    node = np.zeros(offsets[-1], np.int32)
    settings = piece.max() + 1 if len(piece) else 0  # settings' keys are above all pieces
    count = roots
    used = 0
    for request in order:
        here = root[request]
        at = offsets[request]
        passed = 0 if len(hops) else 3
        for segment in range(seg_offsets[request], seg_offsets[request + 1]):
            while passed < 3 and (
                passed == 0 or role[segment] >= passed or role[segment] < 0
            ):  # role 0 is tools, 1 system
                code = hops[request, passed]
                passed += 1
                if code > 0:
                    named = np.uint64(settings + 3 * code + passed)
                    key = ((np.uint64(here) << np.uint64(32)) | named) + np.uint64(1)
                    slot = _slot(keys, key)
                    if keys[slot] == 0:
                        keys[slot], values[slot] = key, count
                        count += 1
                        used += 1
                    here = values[slot]
                    if 5 * used > 3 * len(keys):
                        keys, values = _grown(keys, values)
            text = content[segment]
            for place in range(piece_offsets[text], piece_offsets[text + 1]):
                key = (np.uint64(here) << np.uint64(32)) | np.uint64(piece[place])
                key += np.uint64(1)
                slot = _slot(keys, key)
                if keys[slot] == 0:
                    keys[slot], values[slot] = key, count
                    count += 1
                    used += 1
                here = values[slot]
                node[at] = here
                at += 1
                if 5 * used > 3 * len(keys):
                    keys, values = _grown(keys, values)
    return node, count


@njit(cache=True, nogil=True)
def prompt_pieces(seg_offsets: Ints, content: Small, piece_offsets: Ints) -> tuple[Ints, Small]:
    """Return the number of pieces before each prompt, and the last piece of each segment."""
    offsets = np.zeros(len(seg_offsets), np.int64)
    ends = np.zeros(len(content), np.int32)  # the tree's nodes are numbered in 32 bits too
    at = 0
    for request in range(len(seg_offsets) - 1):
        for segment in range(seg_offsets[request], seg_offsets[request + 1]):
            text = content[segment]
            at += piece_offsets[text + 1] - piece_offsets[text]
            ends[segment] = at - 1
        offsets[request + 1] = at
    return offsets, ends


@njit(cache=True, nogil=True)
def piece_tokens(
    seg_offsets: Ints, content: Small, tokens: Small, billed: Ints, piece_offsets: Ints, end: Small,
    sizes: Small, offsets: Ints,
) -> Small:  # fmt: skip
    """Return the tokens up to each piece's end, scaled to each prompt's billed tokens."""
    cumulative = np.zeros(offsets[-1], np.int32)
    for request in range(len(seg_offsets) - 1):
        first, last = seg_offsets[request], seg_offsets[request + 1]
        total = np.int64(0)
        for segment in range(first, last):
            total += tokens[segment]
        if total == 0:
            continue
        at = offsets[request]
        before = np.int64(0)
        for segment in range(first, last):
            text = content[segment]
            for place in range(piece_offsets[text], piece_offsets[text + 1]):
                inside = tokens[segment]
                if sizes[text] > 0:
                    inside = tokens[segment] * end[place] // sizes[text]
                cumulative[at] = (before + inside) * billed[request] // total
                at += 1
            before += tokens[segment]
    return cumulative


_NEW_LINE, _FULL_STOP, _SPACE = 10, 46, 32
_PRIME = np.uint64(1099511628211)
_OFFSET = np.uint64(14695981039346656037)


@njit(cache=True, nogil=True)
def _chunks(data: Bytes, start: int, size: int) -> tuple[NDArray[np.uint64], Ints]:
    """Return hashes (FNV-1a) and sizes of the lines and sentences of a text."""
    ends = 1
    for at in range(start, start + size - 1):
        stop = data[at] == _FULL_STOP and data[at + 1] == _SPACE
        ends += data[at] == _NEW_LINE or stop
    hashes = np.zeros(ends, np.uint64)
    sizes = np.zeros(ends, np.int64)
    chunk = 0
    value = _OFFSET
    for at in range(start, start + size):
        value = (value ^ np.uint64(data[at])) * _PRIME
        sizes[chunk] += 1
        more = at + 1 < start + size
        if more and (data[at] == _NEW_LINE or (data[at] == _FULL_STOP and data[at + 1] == _SPACE)):
            hashes[chunk] = value
            chunk += 1
            value = _OFFSET
    hashes[chunk] = value
    return hashes, sizes


@njit(cache=True, nogil=True)
def shared_chunks(data: Bytes, starts: Ints, sizes: Ints, left: Ints, right: Ints) -> Ints:
    """Return, per pair of texts, the bytes of lines and sentences that both contain."""
    found = np.zeros(len(left), np.int64)
    for pair in range(len(left)):
        one, one_sizes = _chunks(data, starts[left[pair]], sizes[left[pair]])
        other, _ = _chunks(data, starts[right[pair]], sizes[right[pair]])
        order = np.argsort(one)
        other = np.sort(other)
        at = 0
        for place in order:
            while at < len(other) and other[at] < one[place]:
                at += 1
            if at < len(other) and other[at] == one[place]:
                found[pair] += one_sizes[place]
                at += 1
    return found
