"""Similar pairs of nodes, found tile by tile on all processors."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from costaudit.simulate.semantic.cells import Cells
from costaudit.simulate.semantic.device_tiles import DeviceTiles
from costaudit.simulate.semantic.nodes import Nodes
from costaudit.simulate.semantic.packing import MAX_ROWS, from_depth, pack, row_starts
from costaudit.simulate.semantic.projection import Bounds
from costaudit.simulate.semantic.threads import in_threads

_TALL, _WIDE = 1_024, 4_096  # rows and columns of a tile
_DEVICE_TALL, _DEVICE_WIDE = 4_096, 8_192  # on an accelerator, where starting one takes as long
_ROOM = 1 << 16  # pairs of a tile that fit without a second scan
_EDGE_SAMPLE = 512  # nodes that estimate how many pairs there are


@dataclass(frozen=True)
class Neighbours:
    """Each row's similar nodes, nearest first."""

    packed: np.ndarray  # int64 (pairs,), see packing; columns count from the segment's first node
    starts: np.ndarray  # int64 (rows + 1,)


class PairFinder:
    """Find the pairs of one set of nodes; calls into numpy and the kernels release the lock."""

    def __init__(
        self, nodes: Nodes, vectors: np.ndarray, bounds: Bounds, cells: Cells | None = None
    ) -> None:
        from costaudit.simulate.semantic.pair_kernels import scored_pairs, similar_pairs

        self._scan = similar_pairs
        self._score = scored_pairs
        self._tiles: DeviceTiles | None = None
        self._tall, self._wide = _TALL, _WIDE
        if bounds.device:
            self._tiles = DeviceTiles(bounds.vectors, nodes, bounds.device)
            self._tall, self._wide = _DEVICE_TALL, _DEVICE_WIDE
        self._vectors = vectors
        self._bounds = bounds
        self._nodes = nodes
        self._cells = cells
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
        """Cut rising node numbers into tiles, leaving out those that can't share a pair."""
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
        """Estimate how many ordered pairs the nodes from start to stop have."""
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

        A pair serves the earlier node only if that node is asked for again after the later one
        appeared. Below depth 0 there is nothing to find.
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

        for rows, columns, depths in in_threads(find, self._lower_tiles(members)):
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
        """Build the lists of a block of nodes: against each other, and against others' limits."""
        inner = np.full(len(block), lowest)

        def find(tile: tuple[np.ndarray, ...]) -> np.ndarray:
            row, column, deepest = tile
            return self.between(row, column, deepest)

        tiles = [(row, column, inner[: len(column)]) for row, column in self.tiles(block, block)]
        for row, column in self.tiles(block, others):
            tiles.append((row, column, limits[np.searchsorted(others, column)]))
        parts = [np.empty(0, dtype=np.int64)]
        for rows, columns, depths in in_threads(find, iter(tiles)):
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
