"""memory://: a semantic cache in this process, on FAISS, that decides as the simulation does."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from costaudit.replay.cache import MISS, CacheSettings, Entry, Lookup, Match, Query
from costaudit.replay.expiry import Expiry

TIE = 4e-6  # float32 dot products of unit vectors, summed in another order, differ by less


@dataclass(frozen=True, slots=True)
class _Found:
    slot: int
    similarity: float


class _Shelf:
    """The entries of one partition: slot i of `vectors` belongs to `entries[i]`."""

    def __init__(self, dimensions: int) -> None:
        self.vectors = np.empty((8, dimensions), dtype=np.float32)
        self.entries: list[Entry] = []
        self.slots: dict[int, int] = {}  # text row → slot

    def put(self, entry: Entry, vector: npt.NDArray[np.float32]) -> None:
        slot = self.slots.get(entry.row)
        if slot is not None:
            self.entries[slot] = entry
            return
        slot = len(self.entries)
        if slot == len(self.vectors):
            self.vectors = np.concatenate([self.vectors, np.empty_like(self.vectors)])
        self.vectors[slot] = vector
        self.entries.append(entry)
        self.slots[entry.row] = slot

    def drop(self, row: int) -> None:
        slot = self.slots.pop(row)
        last = len(self.entries) - 1
        if slot != last:
            self.vectors[slot] = self.vectors[last]
            self.entries[slot] = self.entries[last]
            self.slots[self.entries[slot].row] = slot
        self.entries.pop()

    def nearest(self, wanted: npt.NDArray[np.float32]) -> list[_Found]:
        """Find the most similar entry of each vector (b, d), the newest of equal ones."""
        import faiss

        resident = self.vectors[: len(self.entries)]
        k = min(2, len(resident))
        similarities, slots = faiss.knn(wanted, resident, k, metric=faiss.METRIC_INNER_PRODUCT)
        if k == 1:
            return [_Found(0, float(value)) for value in similarities[:, 0]]
        close = similarities[:, 0] - similarities[:, 1] <= TIE
        return [
            self._newest(wanted[i]) if close[i] else _Found(int(slots[i, 0]), float(top))
            for i, top in enumerate(similarities[:, 0])
        ]

    def _newest(self, vector: npt.NDArray[np.float32]) -> _Found:
        rough = self.vectors[: len(self.entries)] @ vector
        tied = np.flatnonzero(rough >= rough.max() - TIE)
        exact = [similarity(self.vectors[slot], vector) for slot in tied]
        best = max(range(len(tied)), key=lambda i: (exact[i], self.entries[tied[i]].index))
        return _Found(int(tied[best]), exact[best])


def similarity(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """Give the cosine of unit vectors as float32, summed in float64 and clipped to [0, 1]."""
    whole = float(np.dot(a.astype(np.float64), b.astype(np.float64)))
    return float(np.float32(min(1.0, max(0.0, whole))))


class MemoryCache:
    """A semantic cache in this process."""

    name = "memory://"
    exact_index = True
    own_vectors = False
    asks_models = False

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def open(self, settings: CacheSettings) -> None:
        """Start empty."""
        self._settings = settings
        self._limit = float(np.float32(settings.min_similarity))
        self._shelves: dict[int, _Shelf] = {}
        self._expiry: Expiry[tuple[int, int]] = Expiry(settings.ttl_s)

    def lookup(self, queries: Sequence[Query]) -> list[Lookup]:
        """Match identical text by its row, all other text by FAISS, a partition at a time."""
        with self._lock:
            self._expire(queries[0].now_s)
            found = [self._identical(query) for query in queries]
            unmatched: dict[int, list[int]] = {}
            for i, query in enumerate(queries):
                if found[i] is None and query.partition in self._shelves:
                    unmatched.setdefault(query.partition, []).append(i)
            for partition, waiting in unmatched.items():
                self._similar(self._shelves[partition], queries, waiting, found)
            if self._settings.ttl_kind == "sliding":
                self._renew(queries, found)
            return [MISS if match is None else Lookup(match=match[0]) for match in found]

    def store(self, entry: Entry, now_s: float) -> None:
        """Keep an answer."""
        with self._lock:
            self._expire(now_s)
            shelf = self._shelves.get(entry.partition)
            if shelf is None:
                shelf = self._shelves[entry.partition] = _Shelf(self._settings.vectors.shape[1])
            shelf.put(entry, self._settings.vectors[entry.row])
            self._expiry.renew((entry.partition, entry.row), entry.since_s)

    def close(self, *, keep: bool) -> None:
        """Forget everything: nothing outlives the process."""
        self._shelves.clear()

    def _identical(self, query: Query) -> tuple[Match, int] | None:
        shelf = self._shelves.get(query.partition)
        slot = None if shelf is None else shelf.slots.get(query.row)
        if shelf is None or slot is None:
            return None
        entry = shelf.entries[slot]
        return Match(entry.request_id, 1.0, True, entry.answer), entry.row

    def _similar(
        self,
        shelf: _Shelf,
        queries: Sequence[Query],
        waiting: list[int],
        found: list[tuple[Match, int] | None],
    ) -> None:
        if self._limit > 1 or not shelf.entries:
            return
        vectors = self._settings.vectors[[queries[i].row for i in waiting]]
        for i, vector, near in zip(waiting, vectors, shelf.nearest(vectors), strict=True):
            if near.similarity < self._limit - TIE:
                continue
            value = similarity(shelf.vectors[near.slot], vector)
            if value >= self._limit:
                entry = shelf.entries[near.slot]
                found[i] = Match(entry.request_id, value, False, entry.answer), entry.row

    def _renew(self, queries: Sequence[Query], found: Sequence[tuple[Match, int] | None]) -> None:
        for query, match in zip(queries, found, strict=True):
            if match is not None:
                self._expiry.renew((query.partition, match[1]), query.now_s)

    def _expire(self, now_s: float) -> None:
        for partition, row in self._expiry.expired(now_s):
            self._shelves[partition].drop(row)
