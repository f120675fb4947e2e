"""Compiled loops that read the keys of requests out of their segments, and number equal values."""

import numpy as np
from numba import njit

TOOLS, SYSTEM, USER = 0, 1, 2  # places in ROLES; those after USER are of other messages
KNOWN, WRITTEN = 1, 2  # the block has text, and more than blanks
MESSAGES, PROMPT = 1, 2  # what is compared: all messages, or system text and all messages
COMPARED, OTHERS, SYSTEM_RAW, TOOL_LIST = 0, 1, 2, 3  # rows of the digests
NONE, SEVERAL = -1, -2  # in place of a row
_LEAST = 1_024  # slots


@njit(cache=True, nogil=True)
def read_keys(  # type: ignore[no-untyped-def]  # compiled
    offsets, role, media, name, row, told, whole, digests, compared, question, has_text, has_image
):
    """Fill in the keys of requests; request r owns the segments offsets[r]:offsets[r + 1].

    role: int16 per segment, index into ROLES. media: bool. name: uint64, equal for equal blocks.
    row: int32, of BLOCKS, or -1. told: uint8 per block, of the bits KNOWN and WRITTEN. whole:
    MESSAGES, PROMPT, or 0 for the last user message. digests: uint64 (4, n), zeros: of the compared
    rows, of the other messages, of system text and of tools; 0 for none. compared: bool per
    segment, False: whether its row is compared. question: int32 (n,), the compared row, NONE or
    SEVERAL. has_text, has_image: bool (n,).
    """
    for r in range(len(offsets) - 1):
        turn = _last_turn(role, offsets[r], offsets[r + 1])
        all_told, any_told = KNOWN, 0
        question[r], has_image[r] = NONE, False
        for s in range(offsets[r], offsets[r + 1]):
            message = role[s] >= USER
            asked = message if whole else role[s] == USER and s > turn
            if asked or (whole == PROMPT and role[s] == SYSTEM):
                all_told &= told[row[s]]
                any_told |= told[row[s]]
                if row[s] >= 0:
                    compared[s] = True
                    question[r] = row[s] if question[r] == NONE else SEVERAL
                    digests[COMPARED, r] = _with(digests[COMPARED, r], np.uint64(row[s]))
            elif message:
                other = _with(name[s], np.uint64(role[s]))
                digests[OTHERS, r] = _with(digests[OTHERS, r], other)
            has_image[r] |= message and media[s]
            if role[s] == SYSTEM:
                digests[SYSTEM_RAW, r] = _with(digests[SYSTEM_RAW, r], name[s])
            elif role[s] == TOOLS:
                digests[TOOL_LIST, r] = _with(digests[TOOL_LIST, r], name[s])
        has_text[r] = all_told & KNOWN > 0 and any_told & WRITTEN > 0


@njit(cache=True, nogil=True)
def _last_turn(role, start, stop):  # type: ignore[no-untyped-def]  # compiled
    """Return the last message before the last one of a user that is not a user's; -1 for none."""
    last = turn = -1
    for s in range(start, stop):
        if role[s] == USER:
            last = s
    for s in range(start, last):
        if role[s] > USER:
            turn = s
    return turn


@njit(cache=True, nogil=True)
def _with(digest, value):  # type: ignore[no-untyped-def]  # compiled
    """Return the digest of a list with one more value."""
    return _mixed(_mixed(value) ^ (digest + np.uint64(0x9E3779B97F4A7C15)))


@njit(cache=True, nogil=True)
def _mixed(value):  # type: ignore[no-untyped-def]  # compiled
    """Return 64 bits that each depend on all bits of a value, as SplitMix64 does."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@njit(cache=True, nogil=True)
def numbered(values):  # type: ignore[no-untyped-def]  # compiled
    """Number uint64 values in order of first appearance, equal ones the same; int32 (n,)."""
    codes = np.empty(len(values), np.int32)
    seen = np.empty(len(values), np.uint64)
    slots = np.full(_LEAST, -1, np.int32)
    count = 0
    for place in range(len(values)):
        slot = _slot(slots, seen, values[place])
        if slots[slot] < 0:
            slots[slot] = count
            seen[count] = values[place]
            count += 1
        codes[place] = slots[slot]
        if 2 * count > len(slots):
            slots = np.full(2 * len(slots), -1, np.int32)
            for code in range(count):
                slots[_slot(slots, seen, seen[code])] = code
    return codes


@njit(cache=True, nogil=True)
def _slot(slots, seen, value):  # type: ignore[no-untyped-def]  # compiled
    """Return the slot of a value, or the empty one where it would be."""
    mask = np.uint64(len(slots) - 1)
    slot = _mixed(value) & mask
    while slots[slot] >= 0 and seen[slots[slot]] != value:
        slot = (slot + np.uint64(1)) & mask
    return slot
