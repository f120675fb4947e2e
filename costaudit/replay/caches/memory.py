"""memory://: a semantic cache in this process, on FAISS, that decides like the simulation."""

import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from costaudit.replay.cache import MISS, CacheSettings, CacheTraits, Entry, Lookup, Match, Query
from costaudit.replay.caches.eviction import Expiry, Node, Places

TIE = 4e-6  # float32 dot products of unit vectors, summed in another order, differ by less


_Found = tuple[int, float]  # slot, similarity


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
        """Return the most similar entry of each vector (b, d), the newest of equal ones."""
        import faiss

        count, k = len(self.entries), min(2, len(self.entries))
        resident = self.vectors[:count]
        similarities, slots = faiss.knn(wanted, resident, k, metric=faiss.METRIC_INNER_PRODUCT)
        best, second = similarities[:, 0].tolist(), similarities[:, -1].tolist()
        return [
            self._newest(wanted[i]) if k > 1 and top - second[i] <= TIE else (slot, top)
            for i, (slot, top) in enumerate(zip(slots[:, 0].tolist(), best, strict=True))
        ]

    def _newest(self, vector: npt.NDArray[np.float32]) -> _Found:
        rough = self.vectors[: len(self.entries)] @ vector
        tied = np.flatnonzero(rough >= rough.max() - TIE).tolist()
        exact = [similarity(self.vectors[slot], vector) for slot in tied]
        best = max(range(len(tied)), key=lambda i: (exact[i], self.entries[tied[i]].index))
        return tied[best], exact[best]


def similarity(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """Return the cosine of unit vectors as float32, summed in float64 and clipped to [0, 1]."""
    whole = float(np.dot(a.astype(np.float64), b.astype(np.float64)))
    return float(np.float32(min(1.0, max(0.0, whole))))


class MemoryCache:
    """A semantic cache in this process."""

    traits = CacheTraits("memory://", exact_index=True, keeps_rules=True, outlives_run=False)

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def open(self, settings: CacheSettings) -> None:
        """Start empty, and load FAISS, so that the first lookup does not wait for it."""
        import faiss  # noqa: F401
        from threadpoolctl import threadpool_limits

        self._settings = settings
        self._limit = float(np.float32(settings.min_similarity))
        self._shelves: dict[int, _Shelf] = {}
        self._slides = settings.ttl_kind == "sliding"
        self._products = threadpool_limits(1)  # more threads would be slower
        self._expiry: Expiry[tuple[int, int]] = Expiry(settings.ttl_s)
        self._pool_of: dict[int, int] = {}  # partition → pool
        self._places: dict[int, Places] = {}  # by pool; empty without a limit

    def lookup(self, queries: Sequence[Query]) -> list[Lookup]:
        """Match identical text by its row, other text by FAISS, one partition at a time."""
        with self._lock:
            if self._settings.size is None:
                return self._looked_up(queries)
            return [self._in_turn(query) for query in queries]

    def store(self, entry: Entry, now_s: float) -> None:
        """Store an answer."""
        node = entry.partition, entry.row
        with self._lock:
            self._expire(now_s)
            if self._settings.size is not None and not self._pool(node).holds(node, entry.index):
                return  # evicted or expired before it arrived
            shelf = self._shelves.get(entry.partition)
            if shelf is None:
                shelf = self._shelves[entry.partition] = _Shelf(self._settings.vectors.shape[1])
            shelf.put(entry, self._settings.vectors[entry.row])
            self._expiry.renew(node, entry.since_s)

    def close(self, *, keep: bool) -> None:
        """Remove all entries: they exist only in this process."""
        self._shelves.clear()
        self._products.restore_original_limits()

    def _looked_up(self, queries: Sequence[Query]) -> list[Lookup]:
        self._expire(queries[0].now_s)
        lookups = [self._identical(query) for query in queries]
        unmatched: dict[int, list[int]] = {}
        for i, lookup in enumerate(lookups):
            if lookup is MISS:
                unmatched.setdefault(queries[i].partition, []).append(i)
        if self._limit <= 1:
            for partition, waiting in unmatched.items():
                shelf = self._shelves.get(partition)
                if shelf is not None and shelf.entries:
                    self._similar(shelf, queries, waiting, lookups)
        return lookups

    def _in_turn(self, query: Query) -> Lookup:
        """Look up a query in a cache of limited size, where a miss takes a place immediately."""
        size = self._settings.size
        if size is not None:
            self._pool_of[query.partition] = int(size.pools[query.index])
        (lookup,) = self._looked_up([query])
        if size is not None and lookup is MISS:
            node, ready_s = (query.partition, query.row), float(size.ready_s[query.index])
            taken, gone = self._pool(node).claim(node, query.index, ready_s)
            if taken:
                self._expiry.renew(node, query.now_s)
            if gone is not None:
                self._expiry.forget(gone)
                self._take_out(gone)
        return lookup

    def _pool(self, node: Node) -> Places:
        size, pool = self._settings.size, self._pool_of[node[0]]
        if size is not None and pool not in self._places:
            self._places[pool] = Places(size.max_entries, size.eviction)
        return self._places[pool]

    def _identical(self, query: Query) -> Lookup:
        shelf = self._shelves.get(query.partition)
        slot = None if shelf is None else shelf.slots.get(query.row)
        if shelf is None or slot is None:
            return MISS
        return self._serve(shelf.entries[slot], query, 1.0, exact=True)

    def _similar(
        self, shelf: _Shelf, queries: Sequence[Query], waiting: list[int], lookups: list[Lookup]
    ) -> None:
        vectors = self._settings.vectors
        if len(waiting) == 1:
            row = queries[waiting[0]].row
            wanted = vectors[row : row + 1]
        else:
            wanted = vectors[[queries[i].row for i in waiting]]
        for place, (slot, rough) in enumerate(shelf.nearest(wanted)):
            if rough >= self._limit - TIE:
                value = similarity(shelf.vectors[slot], wanted[place])
                i = waiting[place]
                if value >= self._limit and not self._refused(queries[i], shelf.entries[slot]):
                    lookups[i] = self._serve(shelf.entries[slot], queries[i], value, exact=False)

    def _refused(self, query: Query, entry: Entry) -> bool:
        guard = self._settings.guard
        if guard is None:
            return False
        return bool(guard(np.array([query.row], np.int32), np.array([entry.row], np.int32))[0])

    def _serve(self, entry: Entry, query: Query, value: float, *, exact: bool) -> Lookup:
        if self._settings.size is not None:
            node = entry.partition, entry.row
            self._pool(node).use(node, query.index)
        if self._slides:
            self._expiry.renew((entry.partition, entry.row), query.now_s)
        return Lookup(match=Match(entry.request_id, value, exact, entry.answer))

    def _expire(self, now_s: float) -> None:
        for node in self._expiry.expired(now_s):
            self._take_out(node)
            if self._settings.size is not None:
                self._pool(node).leave(node)

    def _take_out(self, node: Node) -> None:
        shelf = self._shelves.get(node[0])
        if shelf is not None and node[1] in shelf.slots:  # else its answer is not there yet
            shelf.drop(node[1])
