"""Split a billed number of tokens over the segments of its prompt."""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def split_totals(weights: Ints, sizes: Ints, totals: Ints) -> Ints:
    """Split each row's total over its weights, in whole tokens that add up to it exactly.

    `weights` holds the rows' weights one after another, `sizes` how many each row has. The largest
    remainder method rounds; equal remainders go to the earlier segment. A row whose weights are
    all zero is split evenly.
    """
    row = np.repeat(np.arange(len(sizes)), sizes)
    sums = np.bincount(row, weights, len(sizes)).astype(np.int64)
    weights = np.where(sums[row] == 0, 1, weights)
    sums = np.where(sums == 0, sizes, sums)
    product = weights * totals[row]
    floors = product // sums[row]
    remainders = product - floors * sums[row]
    missing = totals - np.bincount(row, floors, len(sizes)).astype(np.int64)
    order = np.argsort(row * (remainders.max(initial=0) + 1) - remainders, kind="stable")
    starts = np.cumsum(sizes) - sizes
    rank = np.empty(len(weights), np.int64)
    rank[order] = np.arange(len(weights)) - np.repeat(starts, sizes)
    return np.asarray(floors + (rank < missing[row]), np.int64)


def with_media(tokens: Ints, is_known: npt.NDArray[np.bool_], sizes: Ints, totals: Ints) -> Ints:
    """Give segments without a count, such as images, an equal share of what texts leave over."""
    row = np.repeat(np.arange(len(sizes)), sizes)
    texts = np.bincount(row, np.where(is_known, tokens, 0), len(sizes)).astype(np.int64)
    unknown = np.bincount(row, ~is_known, len(sizes)).astype(np.int64)
    share = np.maximum(totals - texts, 0) // np.maximum(unknown, 1)
    return np.where(is_known, tokens, share[row])
