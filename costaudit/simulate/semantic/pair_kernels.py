"""Compiled scan of a tile of approximate similarities for the pairs that matter."""

import numpy as np
from numba import njit

from costaudit.simulate.semantic.packing import ONE_BITS

LANES = 32


@njit(cache=True, nogil=True)
def similarity_depth(a, b, lanes):  # type: ignore[no-untyped-def]  # compiled
    """Return the depth of float32(dot product in float64), summed in one fixed order.

    Products of float32 are exact in float64 and the lanes are added in a fixed order, so that the
    result is the same on every machine. It is clipped to [0, 1].
    """
    width = a.shape[0]
    whole = width - width % LANES
    for lane in range(LANES):
        lanes[lane] = 0.0
    for start in range(0, whole, LANES):
        for lane in range(LANES):
            lanes[lane] += np.float64(a[start + lane]) * np.float64(b[start + lane])
    total = 0.0
    for lane in range(LANES):
        total += lanes[lane]
    for place in range(whole, width):
        total += np.float64(a[place]) * np.float64(b[place])
    similarity = np.float32(min(1.0, max(0.0, total)))
    lanes[0] = 0.0
    bits = lanes[:1].view(np.int32)
    lanes[:1].view(np.float32)[0] = similarity
    return ONE_BITS - np.int64(bits[0])


@njit(cache=True, nogil=True)
def similar_pairs(tile, reach, limits, vectors, rows, columns, below, out):  # type: ignore[no-untyped-def]  # compiled
    """Collect the pairs of a tile that reach their column's limit; returns how many there are.

    tile: float32 (r, c), upper bounds of similarities. reach: float32 (c,), the bound below which
    a pair can't reach its limit. limits: int64 (c,), the deepest similarity that counts.
    rows, columns: int32 (r, 4), (c, 4): node, text, partition, last request's order of appearance.
    below: keep only pairs whose column's node is lower than the row's. out: int64 (3, size) of row
    place, column place and depth; what doesn't fit is counted, not written.
    """
    found = 0
    lanes = np.zeros(LANES)
    for i in range(tile.shape[0]):
        node, text, partition = rows[i, 0], rows[i, 1], rows[i, 2]
        for j in range(tile.shape[1]):
            if tile[i, j] < reach[j] or columns[j, 2] != partition:
                continue
            if columns[j, 0] == node or (below and columns[j, 0] > node):
                continue
            depth = similarity_depth(vectors[text], vectors[columns[j, 1]], lanes)
            if depth <= limits[j]:
                if found < out.shape[1]:
                    out[0, found] = i
                    out[1, found] = j
                    out[2, found] = depth
                found += 1
    return found
