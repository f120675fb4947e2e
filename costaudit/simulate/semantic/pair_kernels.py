"""Compiled scan of a tile of approximate similarities for the pairs that reach their limit."""

import numpy as np
from numba import njit

from costaudit.simulate.semantic.packing import ONE_BITS

ROUNDING = 2.0**-52  # rounding error of a float64 sum, per element


@njit(cache=True, nogil=True, fastmath=True)
def quick_product(a, b):  # type: ignore[no-untyped-def]  # compiled
    """Sum the products in float64, in any order: the processor chooses the fastest."""
    total = 0.0
    for place in range(a.shape[0]):
        total += np.float64(a[place]) * np.float64(b[place])
    return total


@njit(cache=True, nogil=True)
def ordered_product(a, b):  # type: ignore[no-untyped-def]  # compiled
    """Sum the products in float64, from first to last."""
    total = 0.0
    for place in range(a.shape[0]):
        total += np.float64(a[place]) * np.float64(b[place])
    return total


@njit(cache=True, nogil=True)
def similarity_depth(a, b, bits):  # type: ignore[no-untyped-def]  # compiled
    """Return the depth of float32(dot product in float64), at most 1: the same on every machine.

    The order of the sum matters only where the last bits decide the rounding to float32. There the
    products are summed again, from first to last. bits: int32 (1,), scratch memory.
    """
    total = quick_product(a, b)
    doubt = a.shape[0] * ROUNDING
    if np.float32(total - doubt) != np.float32(total + doubt):
        total = ordered_product(a, b)
    bits.view(np.float32)[0] = np.float32(min(1.0, max(0.0, total)))
    return ONE_BITS - np.int64(bits[0])


@njit(cache=True, nogil=True)
def similar_pairs(tile, reach, limits, vectors, rows, columns, below, out):  # type: ignore[no-untyped-def]  # compiled
    """Collect the pairs of a tile that reach their column's limit, and return their number.

    tile: float32 (r, c), upper bounds of similarities. reach: float32 (c,), the bound below which
    a pair can't reach its limit. limits: int64 (c,), the deepest similarity that counts. rows,
    columns: int32 (r, 3), (c, 3): node, text, partition. below: keep only pairs whose column's
    node is lower than the row's node. out: int64 (3, size) of row place, column place and depth;
    pairs that don't fit are counted but not written.
    """
    found = 0
    bits = np.zeros(1, dtype=np.int32)
    for i in range(tile.shape[0]):
        node, text, partition = rows[i, 0], rows[i, 1], rows[i, 2]
        for j in range(tile.shape[1]):
            if tile[i, j] < reach[j] or columns[j, 2] != partition:
                continue
            if columns[j, 0] == node or (below and columns[j, 0] > node):
                continue
            depth = similarity_depth(vectors[text], vectors[columns[j, 1]], bits)
            if depth <= limits[j]:
                if found < out.shape[1]:
                    out[0, found] = i
                    out[1, found] = j
                    out[2, found] = depth
                found += 1
    return found


@njit(cache=True, nogil=True)
def scored_pairs(near, limits, vectors, rows, columns, out):  # type: ignore[no-untyped-def]  # compiled
    """Keep the pairs of places in `near` that reach their column's limit; return their number.

    near: int64 (2, pairs), places in rows and columns. rows, columns: int32 (r,), (c,), texts.
    limits: int64 (c,), the deepest similarity that counts. out: int64 (3, pairs), filled from the
    left with row place, column place and depth.
    """
    found = 0
    bits = np.zeros(1, dtype=np.int32)
    for place in range(near.shape[1]):
        i, j = near[0, place], near[1, place]
        depth = similarity_depth(vectors[rows[i]], vectors[columns[j]], bits)
        if depth <= limits[j]:
            out[0, found] = i
            out[1, found] = j
            out[2, found] = depth
            found += 1
    return found
