"""Compiled loops over segments, and over the ids of their blocks."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Small = NDArray[np.int32]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@njit(cache=True, nogil=True)
def hash_slots(one: Hashes, two: Hashes) -> Small:
    """Return a table of rows by their hashes, at most half full; -1 for an empty slot.

    Of rows with equal hashes, it holds the first.
    """
    size = 2
    while size < 2 * len(one):
        size *= 2
    slots = np.full(size, -1, np.int32)
    for row in range(len(one)):
        slot = _slot(one, two, slots, one[row], two[row])
        if slots[slot] < 0:
            slots[slot] = row
    return slots


@njit(cache=True, nogil=True)
def find_rows(
    known_one: Hashes, known_two: Hashes, slots: Small, one: Hashes, two: Hashes
) -> Small:
    """Return the row with each pair of hashes; -1 for none."""
    found = np.empty(len(one), np.int32)
    for place in range(len(one)):
        found[place] = slots[_slot(known_one, known_two, slots, one[place], two[place])]
    return found


@njit(cache=True, nogil=True)
def _slot(
    known_one: Hashes, known_two: Hashes, slots: Small, one: np.uint64, two: np.uint64
) -> np.uint64:
    """Return the slot of a row with these hashes, or the empty one where it would be."""
    mask = np.uint64(len(slots) - 1)
    slot = one & mask
    while slots[slot] >= 0 and (known_one[slots[slot]] != one or known_two[slots[slot]] != two):
        slot = (slot + np.uint64(1)) & mask
    return slot


@njit(cache=True, nogil=True)
def sums_of(offsets: Ints, values: Small | Flags) -> Ints:
    """Return the sum of the values, or the number of flags, in each offsets[i]:offsets[i + 1]."""
    sums = np.zeros(len(offsets) - 1, np.int64)
    for request in range(len(sums)):
        for segment in range(offsets[request], offsets[request + 1]):
            sums[request] += values[segment]
    return sums
