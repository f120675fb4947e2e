"""The Protocol of a live cache, with the data that it takes and returns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import msgspec
import numpy as np
import numpy.typing as npt

from costaudit.contracts.policies import Eviction, TtlKind
from costaudit.providers.call import Answer, Prompt

Pairs = npt.NDArray[np.int32]
Guard = Callable[[Pairs, Pairs], npt.NDArray[np.bool_]]
"""Return which pairs of texts are refused: (rows of queries, rows of entries) → bool (pairs,)."""


@dataclass(frozen=True)
class SizeLimit:
    """The most entries of a cache, and which entry a full cache evicts."""

    max_entries: int  # per pool, including entries whose answer is not there yet
    eviction: Eviction
    pools: npt.NDArray[np.int64]  # by request
    ready_s: npt.NDArray[np.float64]  # by request: when a miss's answer arrives, on the log's clock


@dataclass(frozen=True)
class CacheSettings:
    """The settings of a cache before the first lookup."""

    texts: Sequence[str]
    vectors: npt.NDArray[np.float32]  # (len(texts), d), unit length
    min_similarity: float  # cosine; a lookup hits iff similarity >= this
    prefix: str  # prefix of all keys that the cache may write
    ttl_s: float | None = None  # on the log's clock
    ttl_kind: TtlKind = "fixed"
    speed: float | None = None  # log seconds per second; None: only the log's clock counts
    shadow: bool = False  # look up existing entries, write nothing
    resumed: bool = False  # remove an interrupted run's keys with this prefix
    prompts: Sequence[Prompt] | None = None  # by request, for caches that call models
    concurrency: int = 8  # simultaneous calls of a model
    size: SizeLimit | None = None  # None: no limit
    guard: Guard | None = None  # None: every similar entry is served
    isolate: bool = False  # use a separate namespace in a caching proxy
    lasting: bool = False  # entries stay: no expiry by their own TTL
    answers: Sequence[str] = ()  # by request, as logged
    scopes: Sequence[Mapping[str, str]] = ()  # by request: field → value; empty if unknown


class Query(msgspec.Struct, frozen=True, gc=False):
    """One lookup."""

    index: int  # index in the stream
    request_id: str
    row: int  # row of the text and its vector
    partition: int
    now_s: float  # the log's clock


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One answer to store."""

    index: int  # index in the stream; of equally similar entries, the newest is served
    request_id: str
    row: int
    partition: int
    answer: str
    since_s: float  # the log's clock when its TTL began, or was last renewed


class Match(msgspec.Struct, frozen=True, gc=False):
    """A hit."""

    request_id: str  # request whose answer was served; "" if the cache does not say
    similarity: float | None  # cosine; 1.0 for identical text; None if the cache does not say
    exact: bool  # identical text
    answer: str


class Lookup(msgspec.Struct, frozen=True, gc=False):
    """The result of one query; at most one of the first three fields is set, none for a miss."""

    match: Match | None = None
    answer: Answer | None = None  # answer to a miss from the cache itself, which is a caching proxy
    error: str = ""  # a short class, such as timeout
    latency_ms: float | None = None  # None: the latency of the shared round trip


MISS = Lookup()


@dataclass(frozen=True)
class CacheTraits:
    """What a replay must know about a cache before it connects."""

    name: str  # a printable address without credentials
    exact_index: bool = False  # it finds the nearest entry exactly, not approximately
    own_vectors: bool = False  # it embeds texts itself: other similarities
    asks_models: bool = False  # its own upstream answers a miss, at a cost
    keeps_rules: bool = False  # it applies entry limits and guards, like the simulation
    own_rules: tuple[str, ...] = ()  # rules that only its configuration can set, as text
    outlives_run: bool = True  # entries can exist after the process ends


class LiveCache(Protocol):
    """A cache for replays; raises BackendError if it can't continue."""

    @property
    def traits(self) -> CacheTraits:
        """Return the cache's traits."""

    def open(self, settings: CacheSettings) -> None:
        """Connect; check the server's commands, and that no key has the prefix."""

    def lookup(self, queries: Sequence[Query]) -> list[Lookup]:
        """Answer queries in order, all with the same entries; renew sliding TTLs."""

    def store(self, entry: Entry, now_s: float) -> None:
        """Store an answer from `now_s` on; it replaces an entry of the same text and partition."""

    def close(self, *, keep: bool) -> None:
        """Disconnect; remove all written keys unless `keep`."""


@runtime_checkable
class Reachable(Protocol):
    """A cache whose connection can be tried before long work."""

    def reach(self) -> tuple[str, ...]:
        """Return warnings, one sentence each; raises BackendError if nothing answers."""


@dataclass(frozen=True)
class Held:
    """The entries of a cache before a replay."""

    request_ids: Sequence[str]  # "" if an entry does not name its request
    vectors: npt.NDArray[np.float32]  # (entries, d)


@runtime_checkable
class Exporting(Protocol):
    """A cache whose entries can be read, for a replay that only looks up."""

    def held(self) -> Held:
        """Connect, and return the entries."""


@runtime_checkable
class Noting(Protocol):
    """A cache that can report what happened in it during a replay."""

    def notes(self) -> tuple[str, ...]:
        """Return notes for the reader, one sentence each; called after `close`."""


def reach(cache: LiveCache) -> tuple[str, ...]:
    """Try the connection of a cache that has one, and return its warnings, one sentence each."""
    return cache.reach() if isinstance(cache, Reachable) else ()


def notes_of(cache: LiveCache) -> tuple[str, ...]:
    """Return a cache's notes about the finished replay."""
    return cache.notes() if isinstance(cache, Noting) else ()
