"""Track when entries expire on the log's clock, and which entry a full cache evicts."""

import heapq
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from costaudit.contracts.policies import Eviction

K = TypeVar("K", bound=Hashable)


class Expiry(Generic[K]):
    """Tracks the expiry of keys; renewing is cheap, and expired keys come out in order."""

    def __init__(self, ttl_s: float | None) -> None:
        self._ttl_s = ttl_s
        self._until: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._tick = 0  # breaks ties, so that keys are never compared

    def renew(self, key: K, now_s: float) -> None:
        """Set the key's expiry to one TTL from now."""
        if self._ttl_s is None:
            return
        until = now_s + self._ttl_s
        self._until[key] = until
        self._tick += 1
        heapq.heappush(self._heap, (until, self._tick, key))

    def forget(self, key: K) -> None:
        """Remove the key before its expiry."""
        self._until.pop(key, None)

    def expired(self, now_s: float) -> Iterator[K]:
        """Yield the expired keys, each once: an entry of age TTL is expired."""
        while self._heap and self._heap[0][0] <= now_s:
            until, _, key = heapq.heappop(self._heap)
            if self._until.get(key) == until:
                del self._until[key]
                yield key


Node = tuple[int, int]  # partition, text row
Rank = tuple[int, int]  # uses (counted only for lfu), then the last request


class Places:
    """The places of one pool; entries whose answer is not there yet count too."""

    def __init__(self, max_entries: int, eviction: Eviction) -> None:
        self._max_entries = max_entries
        self._eviction = eviction
        self._owners: dict[Node, tuple[int, float]] = {}  # request, and its answer's arrival
        self._ranks: dict[Node, Rank] = {}
        self._heap: list[tuple[Rank, Node]] = []  # lowest rank first; outdated ones are skipped

    def holds(self, node: Node, index: int) -> bool:
        """Return whether a text's place belongs to this request."""
        return node in self._owners and self._owners[node][0] == index

    def claim(self, node: Node, index: int, ready_s: float) -> tuple[bool, Node | None]:
        """Assign a miss the place of its text, unless an earlier miss's answer is on its way.

        Return whether the miss got the place, and which entry was evicted.
        """
        gone = None
        if node in self._owners:
            if ready_s >= self._owners[node][1]:
                return False, None
        elif len(self._owners) == self._max_entries:
            gone = self._evict()
        self._owners[node] = index, ready_s
        self._rank(node, (0, index))
        return True, gone

    def use(self, node: Node, index: int) -> None:
        """Record that a request was served a text's entry."""
        if self._eviction == "lru":
            self._rank(node, (0, index))
        elif self._eviction == "lfu":
            self._rank(node, (self._ranks[node][0] + 1, index))

    def leave(self, node: Node) -> None:
        """Free the place of an expired entry."""
        del self._owners[node], self._ranks[node]

    def _evict(self) -> Node:
        while True:
            rank, node = heapq.heappop(self._heap)
            if self._ranks.get(node) == rank:
                self.leave(node)
                return node

    def _rank(self, node: Node, rank: Rank) -> None:
        self._ranks[node] = rank
        heapq.heappush(self._heap, (rank, node))
