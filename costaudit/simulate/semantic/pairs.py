"""Similar pairs of nodes, found tile by tile on all processors or on an accelerator."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from costaudit.engine.device import accelerator, computing_on
from costaudit.engine.pool import in_threads
from costaudit.simulate.semantic.inverted_file import Cells
from costaudit.simulate.semantic.packing import MAX_NODES, MAX_ROWS, from_depth, pack, row_starts
from costaudit.simulate.semantic.stream import Nodes

if TYPE_CHECKING:
    import torch

_SAMPLE = 3_072  # rows: one half chooses the axes, the other half the width
_WIDTHS = (32, 64, 96, 128, 192)
_ROUNDS = 2  # of subspace iteration; all axes give exact results, better axes prune more
_DIMENSION_NS = 0.023  # one multiply-add for one pair, as measured on one core
_PAIR_NS = 60.0  # one full product in float64
_CHUNK = 8_192


@dataclass(frozen=True)
class Sizes:
    """How much work is done at once. Sizes change speed and memory, never a decision."""

    listed_pairs: int = 24_000_000  # more pairs aren't kept; each block finds its pairs again
    block: int = 4_096  # requests decided between two questions to a guard
    look_ahead: int = 8_192  # requests searched for the distinct nodes of one block
    device_texts: int = 20_000  # the processor multiplies fewer texts before torch has loaded
    device_tile: tuple[int, int] = 4_096, 8_192  # rows, columns: a smaller tile takes no less time
    threads: int | None = None  # that find pairs; None: one per processor
    together: int = 2_048  # nodes: small pools are decided together up to here
    most_nodes: int = MAX_NODES  # of a pool in which similar texts are looked for
    divided_pairs: float = 1e10  # fewer are all found here: starting workers takes longer
    parts: int | None = None  # partitions for an engine; None: a few for each worker


@dataclass(frozen=True)
class Bounds:
    """Vectors whose float32 product is at least the cosine minus `margin`."""

    vectors: np.ndarray  # float32 (n, width)
    margin: float  # how much rounding can lower the bound
    device: str | None = None  # torch's name of the device that multiplies them; None: numpy

    def of(self, rows: np.ndarray) -> "Bounds":
        """Return the bounds of some vectors."""
        return replace(self, vectors=self.vectors[rows])


def upper_bounds(
    vectors: np.ndarray,
    lowest: float,
    sizes: Sizes = Sizes(),
    find: Callable[[], str | None] = accelerator,
) -> Bounds:
    """Project unit vectors on their leading axes; the last column is the length of the rest.

    By Cauchy and Schwarz a·b <= a₁·b₁ + |a₂||b₂|, which is one product of the projected rows. The
    width is the cheapest for pairs >= `lowest` in a fixed sample; it changes speed, never results.
    If `find` names an accelerator, the accelerator multiplies many vectors without projection,
    because it would have to wait for full products on the processor.
    """
    count, dimensions = vectors.shape
    if count >= sizes.device_texts and find() == "cuda":  # others: rounding unknown
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
    """Bound cosines by products of the unit vectors, in float32 on a torch device.

    A device may sum the n products in any order and with fused steps. The error is then at most
    n / (1 - n 2^-24) times 2^-24 times the product of the lengths (Higham, Accuracy and Stability
    of Numerical Algorithms, 2002, section 3.1). The margin covers this error.
    """
    return Bounds(vectors, _rounding(vectors.shape[1]), device)


def _leading_axes(sample: np.ndarray, width: int) -> np.ndarray:
    """Return orthonormal axes, float64 (d, width); the first carry most of the sample's length."""
    wide = sample.astype(np.float64)
    moments = wide.T @ wide
    axes = np.random.default_rng(0).normal(size=(len(moments), width))
    for _ in range(_ROUNDS):
        axes = np.linalg.qr(moments @ axes)[0]
    turn = np.linalg.eigh(axes.T @ moments @ axes)[1][:, ::-1]
    return np.linalg.qr(axes @ turn)[0]


def _projected(vectors: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Project rows, and add their squared length as the last column."""
    wide = vectors.astype(np.float64)
    return np.column_stack([wide @ axes, np.einsum("ij,ij->i", wide, wide)])


def _with_rest(projected: np.ndarray, width: int) -> np.ndarray:
    """Keep `width` columns, and add the length of the other columns."""
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
    """Return a bound on the rounding of a float32 product of unit vectors: (width + 8) x 2^-24."""
    return (width + 8) * 2.0**-24 * 1.01


_SHARE = 0.5  # of the device's free memory that the vectors may fill


class DeviceTiles:
    """Vectors on a torch device, or in the processor's memory if they don't fit."""

    def __init__(
        self, vectors: np.ndarray, nodes: Nodes, device: str, room_bytes: int | None = None
    ) -> None:
        import torch

        self._torch = torch
        self._device = torch.device(device)
        self._nodes = nodes
        self._turn = threading.Lock()  # one tile at a time, so that only one takes memory
        self._vectors = torch.from_numpy(np.ascontiguousarray(vectors))
        with computing_on(device):
            if room_bytes is None:
                room_bytes = self._free_bytes()
            if vectors.nbytes <= _SHARE * room_bytes:
                self._vectors = self._vectors.to(self._device)

    def near(
        self, rows: np.ndarray, columns: np.ndarray, reach: np.ndarray, *, below: bool
    ) -> np.ndarray:
        """List pairs of the same partition whose float32 product reaches its column's `reach`.

        rows, columns: rising node numbers. With `below`, only columns lower than the row. Return
        places in rows and columns, int64 (2, pairs).
        """
        with self._turn, computing_on(self._device.type), self._torch.inference_mode():
            tile = self._gathered(rows) @ self._gathered(columns).T
            near = tile >= self._there(reach)
            row, column = self._there(rows)[:, None], self._there(columns)
            near &= column < row if below else column != row
            row, column = (self._there(self._nodes.partition[part]) for part in (rows, columns))
            near &= row[:, None] == column
            places: np.ndarray = near.nonzero().T.contiguous().cpu().numpy()
        return places

    def _gathered(self, nodes: np.ndarray) -> "torch.Tensor":
        texts = self._torch.from_numpy(self._nodes.text[nodes]).to(self._vectors.device)
        return self._vectors.index_select(0, texts).to(self._device)

    def _there(self, values: np.ndarray) -> "torch.Tensor":
        return self._torch.from_numpy(values).to(self._device)

    def _free_bytes(self) -> int:
        if self._device.type == "cuda":
            return int(self._torch.cuda.mem_get_info(self._device)[0])
        return 2 * self._vectors.nbytes  # the processor's memory holds them already


_TALL, _WIDE = 1_024, 4_096  # rows and columns of a tile
_ROOM = 1 << 16  # pairs of a tile that fit without a second scan
_EDGE_SAMPLE = 512  # nodes that estimate how many pairs there are


@dataclass(frozen=True)
class Neighbours:
    """Each row's similar nodes, nearest first."""

    packed: np.ndarray  # int64 (pairs,), see packing; columns count from the segment's first node
    starts: np.ndarray  # int64 (rows + 1,)


class PairFinder:
    """Finds the pairs of one set of nodes; numpy and the kernels release the interpreter lock."""

    def __init__(
        self,
        nodes: Nodes,
        vectors: np.ndarray,
        bounds: Bounds,
        cells: Cells | None = None,
        sizes: Sizes = Sizes(),
    ) -> None:
        from costaudit.simulate.semantic.pair_kernels import scored_pairs, similar_pairs

        self._scan = similar_pairs
        self._score = scored_pairs
        self._tiles: DeviceTiles | None = None
        self._tall, self._wide = _TALL, _WIDE
        if bounds.device:
            self._tiles = DeviceTiles(bounds.vectors, nodes, bounds.device)
            self._tall, self._wide = sizes.device_tile
        self._vectors = vectors
        self._bounds = bounds
        self._nodes = nodes
        self._cells = cells
        self.sizes = sizes
        count = np.arange(len(nodes.text), dtype=np.int32)
        self._about = np.stack([count, nodes.text, nodes.partition], axis=1)

    def between(
        self, rows: np.ndarray, columns: np.ndarray, limits: np.ndarray, *, below: bool = False
    ) -> np.ndarray:
        """List (row, column, depth) of pairs in the same partition, as int64 (3, pairs).

        `rows` and `columns` are rising node numbers; `limits` the deepest similarity that counts
        in each column. With `below`, only columns lower than the row.
        """
        reach = from_depth(limits) - np.float32(self._bounds.margin)
        if self._tiles:
            near = self._tiles.near(rows, columns, reach, below=below)
            out = self._scored(near, rows, columns, limits)
        else:
            out = self._scanned(rows, columns, reach, limits, below)
        return np.stack([rows[out[0]], columns[out[1]], out[2]])

    def _scored(
        self, near: np.ndarray, rows: np.ndarray, columns: np.ndarray, limits: np.ndarray
    ) -> np.ndarray:
        text = self._nodes.text
        out = np.empty((3, near.shape[1]), dtype=np.int64)
        found = self._score(near, limits, self._vectors, text[rows], text[columns], out)
        return out[:, :found]

    def _scanned(
        self,
        rows: np.ndarray,
        columns: np.ndarray,
        reach: np.ndarray,
        limits: np.ndarray,
        below: bool,
    ) -> np.ndarray:
        about = self._about[columns]
        tile = self._bounds.vectors[self._nodes.text[rows]]
        tile = tile @ self._bounds.vectors[about[:, 1]].T
        room = _ROOM
        while True:
            out = np.empty((3, room), dtype=np.int64)
            found = self._scan(
                tile, reach, limits, self._vectors, self._about[rows], about, below, out
            )
            if found <= room:
                return out[:, :found]
            room = found

    def tiles(self, rows: np.ndarray, columns: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
        """Yield tiles of rising node numbers, without tiles that can't contain a pair."""
        if self._cells is None:
            yield from self._partition_tiles(rows, columns)
            return
        text = self._nodes.text
        for row, column in self._cells.tiles(text[rows], text[columns]):
            yield from self._partition_tiles(rows[row], columns[column])

    def _partition_tiles(
        self, rows: np.ndarray, columns: np.ndarray
    ) -> Iterator[tuple[np.ndarray, ...]]:
        partition = self._nodes.partition
        for row in _chunks(partition, rows, self._tall):
            low, high = partition[row[0]], partition[row[-1]]
            shared = partition[columns]
            start, stop = np.searchsorted(shared, low), np.searchsorted(shared, high, "right")
            for place in range(start, stop, self._wide):
                yield row, columns[place : min(place + self._wide, stop)]

    def expected(self, start: int, stop: int, limit: int) -> float:
        """Return an estimate of the number of ordered pairs of the nodes from start to stop."""
        if limit < 0:
            return 0.0
        count = stop - start
        sample = np.unique(np.linspace(start, stop - 1, _EDGE_SAMPLE).astype(np.int64))
        columns = np.arange(start, stop)
        limits = np.full(self._wide, limit)
        pairs = sum(
            self.between(row, column, limits[: len(column)]).shape[1]
            for row, column in self.tiles(sample, columns)
        )
        return float(pairs) * count / len(sample)

    def neighbours(self, start: int, stop: int, limit: int) -> Neighbours:
        """Build the lists of all nodes from start to stop: each pair once, mirrored if needed.

        The earlier node needs the pair only if a request asks for it again after the later node
        appeared. If the limit is below depth 0, there are no pairs.
        """
        nodes = self._nodes
        alone = np.ones(stop - start, dtype=bool)
        same = np.flatnonzero(np.diff(nodes.partition[start:stop]) == 0)
        alone[same] = alone[same + 1] = False
        members = np.flatnonzero(~alone & (limit >= 0)) + start
        parts: list[list[np.ndarray]] = [[] for _ in range((stop - start) // MAX_ROWS + 1)]

        def keep(rows: np.ndarray, columns: np.ndarray, depths: np.ndarray) -> None:
            for chunk in np.unique((rows - start) // MAX_ROWS):
                here = (rows - start) // MAX_ROWS == chunk
                parts[chunk].append(
                    pack((rows[here] - start) % MAX_ROWS, depths[here], columns[here] - start)
                )

        def find(tile: tuple[np.ndarray, ...]) -> np.ndarray:
            row, column = tile
            return self.between(row, column, np.full(len(column), limit), below=True)

        for rows, columns, depths in in_threads(
            find, self._lower_tiles(members), self.sizes.threads
        ):
            keep(rows, columns, depths)
            again = nodes.last[columns] > nodes.first[rows]
            keep(columns[again], rows[again], depths[again])
        lists, starts = [], [np.zeros(1, dtype=np.int64)]
        for chunk, part in enumerate(parts):
            packed = np.sort(np.concatenate(part)) if part else np.empty(0, dtype=np.int64)
            part.clear()
            rows_here = min(MAX_ROWS, stop - start - chunk * MAX_ROWS)
            lists.append(packed)
            starts.append(row_starts(packed, rows_here)[1:] + starts[-1][-1])
        return Neighbours(np.concatenate(lists), np.concatenate(starts))

    def _lower_tiles(self, members: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
        for row, column in self.tiles(members, members):
            if column[0] < row[-1]:
                yield row, column[column < row[-1]]

    def block(self, block: np.ndarray, others: np.ndarray, limits: np.ndarray, lowest: int,
              base: int) -> Neighbours:  # fmt: skip
        """Build the lists of a block of nodes: with each other and with `others`."""
        inner = np.full(len(block), lowest)

        def find(tile: tuple[np.ndarray, ...]) -> np.ndarray:
            row, column, deepest = tile
            return self.between(row, column, deepest)

        tiles = [(row, column, inner[: len(column)]) for row, column in self.tiles(block, block)]
        for row, column in self.tiles(block, others):
            tiles.append((row, column, limits[np.searchsorted(others, column)]))
        parts = [np.empty(0, dtype=np.int64)]
        for rows, columns, depths in in_threads(find, iter(tiles), self.sizes.threads):
            parts.append(pack(np.searchsorted(block, rows), depths, columns - base))
        packed = np.sort(np.concatenate(parts))
        return Neighbours(packed, row_starts(packed, len(block)))


def _chunks(partition: np.ndarray, rows: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """Cut rows so that a partition is split only where it fills more than one chunk."""
    start = 0
    while start < len(rows):
        stop = min(start + most, len(rows))
        if stop < len(rows) and partition[rows[stop]] != partition[rows[start]]:
            whole = int(np.searchsorted(partition[rows], partition[rows[stop]]))
            stop = whole if whole > start else stop
        yield rows[start:stop]
        start = stop
