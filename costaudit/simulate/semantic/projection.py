"""Fewer dimensions that bound a cosine from above, so that most pairs need no full product."""

from dataclasses import dataclass

import numpy as np

_SAMPLE = 2_048  # rows that choose the axes and the width
_DIMENSION_NS = 0.03  # multiply-add of one dimension of one pair, as measured on two cores
_PAIR_NS = 100.0  # one full product in float64
_CHUNK = 16_384


@dataclass(frozen=True)
class Bounds:
    """Vectors whose float32 product is at least the cosine, less `margin`."""

    vectors: np.ndarray  # float32 (n, width)
    margin: float  # what rounding can take off the bound


def upper_bounds(vectors: np.ndarray, lowest: float) -> Bounds:
    """Project unit vectors on their leading axes, with the length of the rest as a last column.

    By Cauchy and Schwarz a·b <= a₁·b₁ + |a₂||b₂|, which is one product of the projected rows. The
    width is the cheapest for pairs >= `lowest` in a fixed sample; it changes speed, never results.
    """
    count, dimensions = vectors.shape
    sample = vectors[np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64)]
    wide = sample.astype(np.float64)
    axes = np.linalg.eigh(wide.T @ wide)[1][:, ::-1]
    kept = _cheapest_width(wide @ axes, lowest)
    if kept == dimensions:
        return Bounds(vectors, _margin(dimensions))
    projected = np.empty((count, kept + 1), dtype=np.float32)
    for start in range(0, count, _CHUNK):
        turned = vectors[start : start + _CHUNK].astype(np.float64) @ axes
        rest = np.linalg.norm(turned[:, kept:], axis=1)
        projected[start : start + _CHUNK, :kept] = turned[:, :kept]
        projected[start : start + _CHUNK, kept] = rest
    return Bounds(projected, _margin(kept + 1))


def _cheapest_width(turned: np.ndarray, lowest: float) -> int:
    dimensions = turned.shape[1]
    left, right = turned[::4], turned[1::2]
    costs = {dimensions: dimensions * _DIMENSION_NS}
    for kept in range(32, dimensions, 32):
        rest = np.linalg.norm(turned[:, kept:], axis=1)
        bound = left[:, :kept] @ right[:, :kept].T + np.outer(rest[::4], rest[1::2])
        share = float((bound >= lowest).mean())
        costs[kept] = kept * _DIMENSION_NS + share * _PAIR_NS
    return min(costs, key=lambda kept: (costs[kept], kept))


def _margin(width: int) -> float:
    """Bound the rounding of a float32 product of unit vectors: (width + 8) units in 2^-24."""
    return (width + 8) * 2.0**-24 * 1.01
