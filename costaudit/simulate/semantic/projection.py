"""Fewer dimensions that bound a cosine from above, so that most pairs need no full product."""

from dataclasses import dataclass

import numpy as np

from costaudit.engine.device import accelerator
from costaudit.simulate.semantic.threads import in_threads

_SAMPLE = 3_072  # rows: every other one chooses the axes, the others the width
_WIDTHS = (32, 64, 96, 128, 192)
_ROUNDS = 2  # of subspace iteration; any axes are right, better ones prune more
_DIMENSION_NS = 0.023  # multiply-add of one dimension of one pair, as measured on one core
_PAIR_NS = 60.0  # one full product in float64
_CHUNK = 8_192
_DEVICE_TEXTS = 20_000  # fewer are done here before torch has loaded


@dataclass(frozen=True)
class Bounds:
    """Vectors whose float32 product is at least the cosine, less `margin`."""

    vectors: np.ndarray  # float32 (n, width)
    margin: float  # what rounding can take off the bound
    device: str | None = None  # torch's name of where they are multiplied; None: by numpy


def upper_bounds(vectors: np.ndarray, lowest: float) -> Bounds:
    """Project unit vectors on their leading axes, with the length of the rest as a last column.

    By Cauchy and Schwarz a·b <= a₁·b₁ + |a₂||b₂|, which is one product of the projected rows. The
    width is the cheapest for pairs >= `lowest` in a fixed sample; it changes speed, never results.
    An accelerator multiplies many vectors whole, since it is the full products that would keep it
    waiting.
    """
    count, dimensions = vectors.shape
    if count >= _DEVICE_TEXTS and accelerator() == "cuda":  # of others the rounding is not known
        return whole_bounds(vectors, "cuda")
    if dimensions <= _WIDTHS[0] or count < 2:
        return Bounds(vectors, _rounding(dimensions))
    sample = vectors[np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64)]
    axes = _leading_axes(sample[::2], min(dimensions, _WIDTHS[-1]))
    width = _cheapest_width(_projected(sample[1::2], axes), dimensions, lowest)
    if width == dimensions:
        return Bounds(vectors, _rounding(dimensions))
    bounds = np.empty((count, width + 1), dtype=np.float32)

    def fill(start: int) -> None:
        rows = slice(start, min(start + _CHUNK, count))
        bounds[rows] = _with_rest(_projected(vectors[rows], axes), width)

    for _ in in_threads(fill, iter(range(0, count, _CHUNK))):
        pass
    return Bounds(bounds, _rounding(width + 1))


def whole_bounds(vectors: np.ndarray, device: str) -> Bounds:
    """Bound cosines by the unit vectors themselves, multiplied in float32 on a device of torch's.

    In whatever order and with whatever fused steps a product of n terms is summed, it is off by at
    most n / (1 - n 2^-24) units of 2^-24 of the lengths' product (Higham, Accuracy and Stability of
    Numerical Algorithms, 2002, section 3.1), which is within the margin.
    """
    return Bounds(vectors, _rounding(vectors.shape[1]), device)


def _leading_axes(sample: np.ndarray, width: int) -> np.ndarray:
    """Find orthonormal axes, float64 (d, width), with most of the sample's length first."""
    wide = sample.astype(np.float64)
    moments = wide.T @ wide
    axes = np.random.default_rng(0).normal(size=(len(moments), width))
    for _ in range(_ROUNDS):
        axes = np.linalg.qr(moments @ axes)[0]
    turn = np.linalg.eigh(axes.T @ moments @ axes)[1][:, ::-1]
    return np.linalg.qr(axes @ turn)[0]


def _projected(vectors: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Project rows, with their squared length as a last column."""
    wide = vectors.astype(np.float64)
    return np.column_stack([wide @ axes, np.einsum("ij,ij->i", wide, wide)])


def _with_rest(projected: np.ndarray, width: int) -> np.ndarray:
    """Keep `width` columns, and add the length of what was left out."""
    kept = projected[:, :width]
    rest = projected[:, -1] - np.einsum("ij,ij->i", kept, kept)
    return np.column_stack([kept, np.sqrt(np.maximum(rest, 0.0))]).astype(np.float32)


def _cheapest_width(projected: np.ndarray, dimensions: int, lowest: float) -> int:
    costs = {dimensions: dimensions * _DIMENSION_NS}
    for width in _WIDTHS:
        if width < dimensions:
            bounds = _with_rest(projected, width)
            tile = bounds[::4] @ bounds[1::2].T
            near = float((tile >= lowest).mean()) if tile.size else 0.0
            costs[width] = width * _DIMENSION_NS + near * _PAIR_NS
    return int(min(costs, key=lambda width: (costs[width], width)))


def _rounding(width: int) -> float:
    """Bound the rounding of a float32 product of unit vectors: (width + 8) units in 2^-24."""
    return (width + 8) * 2.0**-24 * 1.01
