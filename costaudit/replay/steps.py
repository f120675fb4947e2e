"""The steps of one request: look up, serve or ask the model, store, acknowledge."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from costaudit.errors import BackendError
from costaudit.progress import Progress
from costaudit.providers.call import Answer, CallError
from costaudit.replay.cache import Entry, Guard, LiveCache, Lookup, Query
from costaudit.replay.journal import Acknowledged, Journal
from costaudit.replay.options import ReplayOptions
from costaudit.replay.stream import BYPASS, LOGGED_FAILURE, ReplayStream, text_digest
from costaudit.replay.upstream import Budget, Rate, Upstream, spent_before

P = ParamSpec("P")
R = TypeVar("R")
Listener = Callable[[Acknowledged], None]  # called for each finished request


@dataclass(frozen=True)
class Workload:
    """The input of a replay: requests, their texts and vectors, a guard and a rate."""

    stream: ReplayStream
    texts: Sequence[str]
    vectors: npt.NDArray[np.float32]  # (len(texts), d), unit length
    guard: Guard | None = None  # the one that `ReplayOptions.guard` names
    rate: Rate | None = None  # the price of live models and caching proxies


@dataclass(frozen=True)
class Watchers:
    """The listeners for finished requests."""

    progress: Progress
    listener: Listener | None = None


class Missed(msgspec.Struct, frozen=True, gc=False):
    """A request that a model must answer."""

    index: int
    lookup_ms: float
    lateness_ms: float


class Steps:
    """The steps of a replay, for one or many threads; every request is written to the journal."""

    def __init__(
        self,
        work: Workload,
        cache: LiveCache,
        upstream: Upstream,
        journal: Journal,
        options: ReplayOptions,
        watchers: Watchers,
    ) -> None:
        self.stream = stream = work.stream
        self.options = options
        self.is_live = upstream.is_live
        self._cache = cache
        self._upstream = upstream
        self._journal = journal
        self._budget = Budget(
            work.rate,
            options.max_spend_usd,
            spent_before([done.spent_usd for done in journal.done.values()]),
            is_live=upstream.is_live or cache.traits.asks_models,
        )
        self._progress = watchers.progress
        self._listener = watchers.listener
        self._lock = threading.Lock()
        self._failures = 0  # in a row
        self._failure: BaseException | None = None  # the first failure, which stops the run
        self._rows: list[int] = stream.rows.tolist()  # faster than single items of numpy
        self._partitions: list[int] = stream.partitions.tolist()
        self.ts_s: list[float] = stream.ts_s.tolist()
        self.ready_s: list[float] = stream.ready_s.tolist()

    def todo(self) -> list[int]:
        """Acknowledge the requests that bypass, and return the other unfinished ones in order."""
        for index, row in enumerate(self._rows):
            if row == BYPASS and index not in self._journal.done:
                self._acknowledge(self._bypassed(index))
        return [i for i in range(len(self.stream)) if i not in self._journal.done]

    def look_up(
        self, indices: Sequence[int], now_s: float | None = None, lateness_ms: float = 0.0
    ) -> list[Missed]:
        """Look up requests that see the same entries, and return those that a model must answer.

        `now_s` is on the log's clock; None means each request's own time.
        """
        self.check()
        ids, rows, partitions, ts_s = (
            self.stream.request_ids, self._rows, self._partitions, self.ts_s,
        )  # fmt: skip
        queries = [
            Query(i, ids[i], rows[i], partitions[i], ts_s[i] if now_s is None else now_s)
            for i in indices
        ]
        started = time.perf_counter()
        if self._cache.traits.asks_models:
            with ExitStack() as reserved:
                for index in indices:
                    reserved.enter_context(self._budget.reserve(self.stream, index))
                lookups = self._cache.lookup(queries)
        else:
            lookups = self._cache.lookup(queries)
        took_ms = (time.perf_counter() - started) * 1000
        unanswered = []
        for index, lookup in zip(indices, lookups, strict=True):
            own_ms = took_ms if lookup.latency_ms is None else lookup.latency_ms
            missed = Missed(index, own_ms, lateness_ms)
            done = self._decided(missed, lookup)
            if done is None:
                unanswered.append(missed)
            else:
                self._acknowledge(done)
        return unanswered

    def ask(self, missed: Missed) -> Answer | None:
        """Return the upstream's answer to a miss; None if it failed after retries."""
        try:
            self.check()
            if self.is_live:
                with self._budget.reserve(self.stream, missed.index) as charge:
                    answer = self._upstream.answer(self.stream, missed.index)
                    spent_usd = charge(answer)
            else:
                answer, spent_usd = self._upstream.answer(self.stream, missed.index), "0"
        except CallError as error:
            self._acknowledge(self._failed(missed, f"upstream: {error.reason}"))
            return None
        self._acknowledge(self._missed(missed, answer, spent_usd))
        return answer

    def store(self, index: int, answer: str, since_s: float, now_s: float) -> None:
        """Store an answer in the cache, with its TTL counted from `since_s`."""
        self.check()
        self._cache.store(self.entry(index, answer, since_s), now_s)

    def entry(self, index: int, answer: str, since_s: float) -> Entry:
        """Return a request's answer as a cache entry."""
        row, partition = self._rows[index], self._partitions[index]
        return Entry(index, self.stream.request_ids[index], row, partition, answer, since_s)

    def guarded(self, step: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a step in another thread; an exception stops the run."""
        try:
            return step(*args, **kwargs)
        except BaseException as error:
            self.fail(error)
            raise

    def fail(self, error: BaseException) -> None:
        """Stop the run at the next step of any thread."""
        with self._lock:
            self._failure = self._failure or error

    def check(self) -> None:
        """Raise the exception that stopped the run, if any."""
        if self._failure is not None:
            raise self._failure

    def _decided(self, missed: Missed, lookup: Lookup) -> Acknowledged | None:
        index, took_ms, lateness_ms = missed.index, missed.lookup_ms, missed.lateness_ms
        if lookup.error:
            return self._failed(missed, lookup.error)
        if lookup.match is not None:
            match = lookup.match
            return Acknowledged(
                index,
                "hit",
                "exact" if match.exact else "similar",
                match.request_id,
                match.similarity,
                lookup_ms=took_ms,
                latency_ms=took_ms,
                lateness_ms=lateness_ms,
                served=None if match.request_id else text_digest(match.answer),
            )
        if lookup.answer is not None:  # a caching proxy already called its model
            spent_usd = self._budget.charge(lookup.answer)
            return msgspec.structs.replace(
                self._missed(Missed(index, 0.0, lateness_ms), lookup.answer, spent_usd),
                lookup_ms=None,
            )
        if self.options.shadow:
            return Acknowledged(
                index,
                "miss",
                tokens=self._logged_tokens(index),
                lookup_ms=took_ms,
                latency_ms=_known(took_ms + float(self.stream.latencies_ms[index])),
                lateness_ms=lateness_ms,
            )
        return None

    def _missed(self, missed: Missed, answer: Answer, spent_usd: str) -> Acknowledged:
        return Acknowledged(
            missed.index,
            "miss",
            tokens=answer.tokens,
            lookup_ms=missed.lookup_ms,
            latency_ms=_known(missed.lookup_ms + answer.latency_ms),
            lateness_ms=missed.lateness_ms,
            spent_usd=spent_usd,
            answer=answer.text if self.is_live else None,
        )

    def _failed(self, missed: Missed, reason: str) -> Acknowledged:
        return Acknowledged(
            missed.index,
            "error",
            reason,
            lookup_ms=missed.lookup_ms,
            latency_ms=missed.lookup_ms,
            lateness_ms=missed.lateness_ms,
        )

    def _bypassed(self, index: int) -> Acknowledged:
        reason = self.stream.bypass_reasons[index] if self.stream.bypass_reasons else ""
        return Acknowledged(
            index,
            "error" if reason == LOGGED_FAILURE else "bypass",
            reason,
            tokens=self._logged_tokens(index),
            latency_ms=_known(float(self.stream.latencies_ms[index])),
        )

    def _logged_tokens(self, index: int) -> tuple[int, ...]:
        return tuple(self.stream.tokens[index].tolist())

    def _acknowledge(self, done: Acknowledged) -> None:
        with self._lock:
            self._journal.acknowledge(done)
            failed = done.result == "error" and done.reason != LOGGED_FAILURE
            self._failures = self._failures + 1 if failed else 0
            if self._failures >= self.options.max_failures and self._failure is None:
                self._failure = BackendError(
                    f"{self._failures} requests in a row failed, the last with: {done.reason}.",
                    hint="Repair the cache or the model, then run the same command again.",
                )
        self._progress.advance(1)
        if self._listener is not None:
            self._listener(done)


def _known(latency_ms: float) -> float | None:
    return None if math.isnan(latency_ms) else latency_ms
