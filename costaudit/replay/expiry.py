"""When entries expire on the log's clock, for caches that replay faster than any clock."""

import heapq
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Expiry(Generic[K]):
    """Remember until when keys live; renewing is cheap, and what expired comes out in order."""

    def __init__(self, ttl_s: float | None) -> None:
        self._ttl_s = ttl_s
        self._until: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._tick = 0  # breaks ties, so that keys are never compared

    def renew(self, key: K, now_s: float) -> None:
        """Let the key live for one TTL from now."""
        if self._ttl_s is None:
            return
        until = now_s + self._ttl_s
        self._until[key] = until
        self._tick += 1
        heapq.heappush(self._heap, (until, self._tick, key))

    def forget(self, key: K) -> None:
        """Let the key go before its time."""
        self._until.pop(key, None)

    def expired(self, now_s: float) -> Iterator[K]:
        """Yield, once each, the keys whose time is up: an entry of age TTL is gone."""
        while self._heap and self._heap[0][0] <= now_s:
            until, _, key = heapq.heappop(self._heap)
            if self._until.get(key) == until:
                del self._until[key]
                yield key
