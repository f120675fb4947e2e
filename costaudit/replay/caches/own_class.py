"""module:Class and file.py:Class: the user's own cache, with `get` and `set`."""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from costaudit.contracts.plugins import made, plugin
from costaudit.errors import BackendError, CostauditError, UsageError
from costaudit.providers.call import Message
from costaudit.replay.cache import (
    MISS,
    CacheSettings,
    CacheTraits,
    Entry,
    LiveCache,
    Lookup,
    Match,
    Query,
)
from costaudit.replay.stream import text_digest


@dataclass(frozen=True)
class Context:
    """What the user's cache gets with each question."""

    now_s: float  # the log's clock, seconds since 1970
    request_id: str
    answer: str  # logged answer to this question
    scope: Mapping[str, str]  # field → value, of the application: tenant, user, ...
    model: str
    messages: tuple[Message, ...]  # the whole prompt
    vector: npt.NDArray[np.float32]  # the question's, unit length
    min_similarity: float  # the replay's threshold
    ttl_s: float | None  # the replay's TTL, on the log's clock
    speed: float | None  # log seconds per second; None: only `now_s` shows the time


@dataclass(frozen=True)
class Hit:
    """An answer with what the cache knows about it; a plain text is a hit too."""

    answer: str
    similarity: float | None = None


class OwnCache(Protocol):
    """The user's own cache; both methods may be coroutines; `clear` and `close` are optional.

    In a paced replay, several threads call at once. `clear` removes what this object wrote.
    """

    def get(self, question: str, context: Context) -> str | Hit | None:
        """Return the cached answer; None for a miss."""

    def set(self, question: str, answer: str, context: Context) -> None:
        """Keep an answer."""


class OwnClassCache:
    """The user's class as a live cache, which decides by its own rules."""

    def __init__(self, name: str, own: OwnCache) -> None:
        own_vectors = hasattr(own, "embed")
        rules = ("how similar is near enough", "which scopes share", "how long an entry lives")
        self.traits = CacheTraits(name, own_vectors=own_vectors, own_rules=rules)
        self.own = own
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stored: dict[str, dict[int, str]] = {}  # digest of an answer → text row → request
        self._lock = threading.Lock()

    def open(self, settings: CacheSettings) -> None:
        """Start with the existing entries; a resumed run clears them and fills the cache again."""
        self._settings = settings
        if settings.resumed:
            self._optional("clear")

    def lookup(self, queries: Sequence[Query]) -> list[Lookup]:
        """Call `get` for each query; an exception is an error of that request."""
        return [self._look_up(query) for query in queries]

    def store(self, entry: Entry, now_s: float) -> None:
        """Call `set`, unless the replay only looks up."""
        if self._settings.shadow:
            return
        question = self._settings.texts[entry.row]
        context = self._context(entry.index, entry.row, entry.request_id, now_s)
        self._result(lambda: self.own.set(question, entry.answer, context))
        with self._lock:
            self._stored.setdefault(text_digest(entry.answer), {})[entry.row] = entry.request_id

    def close(self, *, keep: bool) -> None:
        """Clear what was written unless `keep`, and disconnect."""
        if not keep and not self._settings.shadow:
            self._optional("clear")
        self._optional("close")
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)

    def notes(self) -> tuple[str, ...]:
        """Return a note if the class can't remove the entries."""
        if hasattr(self.own, "clear") or self._settings.shadow or not self._stored:
            return ()
        return (
            f"{self.traits.name} has no `clear`, so the entries of this replay stay where it put "
            "them.",
        )

    def call(self, step: Callable[[Any], Any]) -> Any:
        """Call the user's object, and await a coroutine."""
        return self._result(lambda: step(self.own))

    def _look_up(self, query: Query) -> Lookup:
        question = self._settings.texts[query.row]
        context = self._context(query.index, query.row, query.request_id, query.now_s)
        try:
            found: Any = self._result(lambda: self.own.get(question, context))
        except Exception as error:
            if isinstance(error, CostauditError):
                raise
            return Lookup(error=f"cache: {type(error).__name__}")
        if found is None:
            return MISS
        hit = found if isinstance(found, Hit) else Hit(found)
        if not isinstance(hit.answer, str):
            raise BackendError(
                f"{self.traits.name} answered with {type(hit.answer).__name__}.",
                hint="`get` returns a text, a costaudit.replay.caches.own_class.Hit or None.",
            )
        return Lookup(match=self._match(query, hit))

    def _match(self, query: Query, hit: Hit) -> Match:
        """Return the match; its request is found by the answer's text, the same question first."""
        with self._lock:
            owners = self._stored.get(text_digest(hit.answer), {})
            exact = query.row in owners
            owner = owners.get(query.row) or next(reversed(owners.values()), "")
        similarity = 1.0 if exact and hit.similarity is None else hit.similarity
        return Match(owner, similarity, exact, hit.answer)

    def _context(self, index: int, row: int, request_id: str, now_s: float) -> Context:
        settings = self._settings
        prompt = settings.prompts[index] if settings.prompts else None
        return Context(
            now_s=now_s,
            request_id=request_id,
            answer=settings.answers[index] if settings.answers else "",
            scope=settings.scopes[index] if settings.scopes else {},
            model=prompt.model if prompt is not None else "",
            messages=prompt.messages if prompt is not None else (),
            vector=settings.vectors[row],
            min_similarity=settings.min_similarity,
            ttl_s=settings.ttl_s,
            speed=settings.speed,
        )

    def _optional(self, name: str) -> None:
        method = getattr(self.own, name, None)
        if method is not None:
            self._result(method)

    def _result(self, call: Callable[[], Any]) -> Any:
        """Call, and await a coroutine on this object's own loop."""
        found = call()
        return self._awaited(found) if inspect.isawaitable(found) else found

    def _awaited(self, coming: Awaitable[Any]) -> Any:
        async def wait() -> Any:
            return await coming

        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, daemon=True).start()
        return asyncio.run_coroutine_threadsafe(wait(), self._loop).result()


def own_class_at(text: str) -> LiveCache | None:
    """Return the cache of `module:Class`, `file.py:Class` or an installed name; else None.

    The text after a question mark holds keyword arguments of the class, as texts.
    """
    own = made("caches", text, ())
    if own is None:
        return None
    if hasattr(own, "lookup") and hasattr(own, "traits"):
        live: LiveCache = own
        return live
    name = text.partition("?")[0]
    if not (callable(getattr(own, "get", None)) and callable(getattr(own, "set", None))):
        raise UsageError(
            f"{name} has no `get` and `set`.",
            hint="It needs get(question, context) and set(question, answer, context).",
        )
    return OwnClassCache(name, own)


def named(text: str) -> Any:
    """Return the object of module:name or file.py:name; raises UsageError if there is none."""
    found = plugin("caches", text)
    if found is None:
        raise UsageError(f"{text} names nothing.", hint="Give module:name or file.py:name.")
    return found
