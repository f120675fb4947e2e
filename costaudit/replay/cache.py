"""What a live cache is: a Protocol of four methods, and the data that it takes and returns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import msgspec
import numpy as np
import numpy.typing as npt

from costaudit.contracts.policies import Eviction
from costaudit.providers.call import Answer, Prompt

Pairs = npt.NDArray[np.int32]
Guard = Callable[[Pairs, Pairs], npt.NDArray[np.bool_]]
"""Refuse pairs of texts: rows of those asked for, rows of those held → bool (pairs,)."""


@dataclass(frozen=True)
class SizeLimit:
    """How many entries may be held, and who leaves a full cache."""

    max_entries: int  # of each pool, those under way included
    eviction: Eviction
    pools: npt.NDArray[np.int64]  # by request
    ready_s: npt.NDArray[np.float64]  # by request: when a miss's answer arrives, the log's clock


@dataclass(frozen=True)
class CacheSettings:
    """What a cache must know before the first lookup."""

    texts: Sequence[str]
    vectors: npt.NDArray[np.float32]  # (len(texts), d), unit length
    min_similarity: float  # cosine; a lookup hits iff similarity >= this
    prefix: str  # of every key that the cache may write
    ttl_s: float | None = None  # on the log's clock
    ttl_kind: Literal["fixed", "sliding"] = "fixed"
    speed: float | None = None  # log seconds per second; None: only the log's clock counts
    shadow: bool = False  # look up in what is there already, write nothing
    resumed: bool = False  # remove what an interrupted run left under this prefix
    prompts: Sequence[Prompt] | None = None  # by request, for caches that ask models themselves
    concurrency: int = 8  # calls of a model at the same time
    size: SizeLimit | None = None  # None: no limit
    guard: Guard | None = None  # None: every near entry is served
    isolate: bool = False  # take a namespace of its own in a caching proxy
    lasting: bool = False  # entries are to stay: no expiry of their own
    answers: Sequence[str] = ()  # by request, as logged
    scopes: Sequence[Mapping[str, str]] = ()  # by request: field → value; empty where unknown


class Query(msgspec.Struct, frozen=True, gc=False):
    """One lookup."""

    index: int  # of the request in the stream
    request_id: str
    row: int  # of the text and its vector
    partition: int
    now_s: float  # the log's clock


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One answer to keep."""

    index: int  # of the request in the stream: of equally similar entries the newest wins
    request_id: str
    row: int
    partition: int
    answer: str
    since_s: float  # the log's clock when its TTL began, or was last renewed


class Match(msgspec.Struct, frozen=True, gc=False):
    """A hit."""

    request_id: str  # whose answer was served; "" where the cache does not say
    similarity: float | None  # cosine; 1.0 for identical text; None where the cache hides it
    exact: bool  # identical text
    answer: str


class Lookup(msgspec.Struct, frozen=True, gc=False):
    """What became of one query; at most one of the first three is set, none for a plain miss."""

    match: Match | None = None
    answer: Answer | None = None  # a miss that the cache has already answered: a caching proxy
    error: str = ""  # a short class, such as timeout
    latency_ms: float | None = None  # its own; None: that of the round trip it shared


MISS = Lookup()


@dataclass(frozen=True)
class CacheTraits:
    """What a replay must know of a cache before it speaks to it."""

    name: str  # a printable address without credentials
    exact_index: bool = False  # it finds the nearest entry, not an approximation of it
    own_vectors: bool = False  # it embeds for itself, so similarities differ from the simulation's
    asks_models: bool = False  # a miss is answered, and paid for, by its own upstream
    keeps_rules: bool = False  # it honours a limit on entries and a guard, as the simulation does
    own_rules: tuple[str, ...] = ()  # what only its own configuration can set, in words
    outlives_run: bool = True  # entries can stay after the process ends


class LiveCache(Protocol):
    """A cache that can be replayed against; raises BackendError where it can't go on."""

    @property
    def traits(self) -> CacheTraits:
        """Return what kind of cache this is."""

    def open(self, settings: CacheSettings) -> None:
        """Connect, and confirm that the server can do it and that no key has the prefix yet."""

    def lookup(self, queries: Sequence[Query]) -> list[Lookup]:
        """Answer queries that all see the same entries, in order; sliding TTLs are renewed."""

    def store(self, entry: Entry, now_s: float) -> None:
        """Keep an answer from now on (the log's clock); the same text and partition replaces it."""

    def close(self, *, keep: bool) -> None:
        """Disconnect; remove every key that was written unless they are to be kept."""


@runtime_checkable
class Reachable(Protocol):
    """A cache behind a connection that can be tried before anything costs time."""

    def reach(self) -> tuple[str, ...]:
        """Return warnings, one sentence each; raises BackendError where nothing answers."""


@dataclass(frozen=True)
class Held:
    """What a cache holds before a replay, entry by entry."""

    request_ids: Sequence[str]  # "" where an entry does not say whose answer it is
    vectors: npt.NDArray[np.float32]  # (entries, d)


@runtime_checkable
class Exporting(Protocol):
    """A cache whose entries can be read before a replay that only looks up."""

    def held(self) -> Held:
        """Connect, and return what is there."""


@runtime_checkable
class Noting(Protocol):
    """A cache that can say what happened in it during a replay."""

    def notes(self) -> tuple[str, ...]:
        """Return what the reader must know, one sentence each; called after `close`."""


def reach(cache: LiveCache) -> tuple[str, ...]:
    """Try the connection of a cache that has one; returns its warnings, one sentence each."""
    return cache.reach() if isinstance(cache, Reachable) else ()


def notes_of(cache: LiveCache) -> tuple[str, ...]:
    """Return what a cache says of the replay that has ended."""
    return cache.notes() if isinstance(cache, Noting) else ()
