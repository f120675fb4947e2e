"""Compiled loops that compare texts line by line and sentence by sentence."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]

_NEW_LINE, _FULL_STOP, _SPACE = 10, 46, 32
_PRIME = np.uint64(1099511628211)
_OFFSET = np.uint64(14695981039346656037)


@njit(cache=True, nogil=True)
def _chunks(data: Bytes, start: int, size: int) -> tuple[NDArray[np.uint64], Ints]:
    """Hash (FNV-1a) the lines and sentences of a text, and count the bytes of each."""
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
    """Count per pair of texts the bytes of lines and sentences that stand in both."""
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
