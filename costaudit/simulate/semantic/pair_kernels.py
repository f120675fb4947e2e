"""Compiled scan of a tile of approximate similarities for the pairs that matter."""

import numpy as np
from numba import njit

from costaudit.simulate.semantic.packing import ONE_BITS

LANES = 32


@njit(cache=True, nogil=True)
def rough_similarity(a, b, lanes):  # type: ignore[no-untyped-def]  # compiled
    """Return the dot product in float32, to reject most pairs; lanes: float32 (LANES,)."""
    whole = a.shape[0] - a.shape[0] % LANES
    lanes[:] = np.float32(0.0)
    for start in range(0, whole, LANES):
        for lane in range(LANES):
            lanes[lane] += a[start + lane] * b[start + lane]
    total = np.float32(0.0)
    for lane in range(LANES):
        total += lanes[lane]
    for place in range(whole, a.shape[0]):
        total += a[place] * b[place]
    return total


@njit(cache=True, nogil=True)
def similarity_depth(a, b, lanes):  # type: ignore[no-untyped-def]  # compiled
    """Return the depth of float32(dot product in float64), at most 1, summed in one fixed order.

    Products of float32 are exact in float64 and the lanes are added in a fixed order, so that the
    result is the same on every machine. lanes: float64 (LANES,).
    """
    whole = a.shape[0] - a.shape[0] % LANES
    lanes[:] = 0.0
    for start in range(0, whole, LANES):
        for lane in range(LANES):
            lanes[lane] += np.float64(a[start + lane]) * np.float64(b[start + lane])
    total = 0.0
    for lane in range(LANES):
        total += lanes[lane]
    for place in range(whole, a.shape[0]):
        total += np.float64(a[place]) * np.float64(b[place])
    lanes[:1].view(np.float32)[0] = np.float32(min(1.0, max(0.0, total)))
    return ONE_BITS - np.int64(lanes[:1].view(np.int32)[0])


@njit(cache=True, nogil=True)
def similar_pairs(tile, reach, sure, limits, vectors, rows, columns, below, out):  # type: ignore[no-untyped-def]  # compiled
    """Collect the pairs of a tile that reach their column's limit; returns how many there are.

    tile: float32 (r, c), upper bounds of similarities. reach, sure: float32 (c,), below which the
    bound, and a product in float32, can't reach the limit. limits: int64 (c,), the deepest
    similarity that counts. rows, columns: int32 (r, 3), (c, 3): node, text, partition. below: keep
    only pairs whose column's node is lower than the row's. out: int64 (3, size) of row place,
    column place and depth; what doesn't fit is counted, not written.
    """
    found = 0
    rough = np.zeros(LANES, dtype=np.float32)
    exact = np.zeros(LANES)
    for i in range(tile.shape[0]):
        node, text, partition = rows[i, 0], rows[i, 1], rows[i, 2]
        for j in range(tile.shape[1]):
            if tile[i, j] < reach[j] or columns[j, 2] != partition:
                continue
            if columns[j, 0] == node or (below and columns[j, 0] > node):
                continue
            other = columns[j, 1]
            if rough_similarity(vectors[text], vectors[other], rough) < sure[j]:
                continue
            depth = similarity_depth(vectors[text], vectors[other], exact)
            if depth <= limits[j]:
                if found < out.shape[1]:
                    out[0, found] = i
                    out[1, found] = j
                    out[2, found] = depth
                found += 1
    return found
