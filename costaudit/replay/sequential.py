"""Replay as fast as possible, on the log's clock, and resume an interrupted replay."""

import heapq
import math
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from costaudit.providers.call import Answer
from costaudit.replay.cache import CacheSettings
from costaudit.replay.journal import Acknowledged
from costaudit.replay.steps import Missed, Steps
from costaudit.replay.stream import ReplayStream


class Owners:
    """Tracks which miss provides each text's answer: of simultaneous misses, the first answered."""

    def __init__(self, stream: ReplayStream, ttl_s: float | None) -> None:
        self._ts_s: list[float] = stream.ts_s.tolist()
        self._ready_s: list[float] = stream.ready_s.tolist()
        self._nodes = list(zip(stream.partitions.tolist(), stream.rows.tolist(), strict=True))
        self._ttl_s = math.inf if ttl_s is None else ttl_s
        self._owner: dict[tuple[int, int], int] = {}

    def claim(self, index: int) -> None:
        """Assign a text to a miss, unless another miss's answer will arrive before."""
        node, ready_s = self._nodes[index], self._ready_s
        other = self._owner.get(node)
        if other is not None:
            now_s = self._ts_s[index]
            coming = ready_s[other] > now_s and now_s < self._ts_s[other] + self._ttl_s
            if coming and ready_s[index] >= ready_s[other]:
                return
        self._owner[node] = index

    def holds(self, index: int) -> bool:
        """Return whether the text is assigned to this miss."""
        return self._owner.get(self._nodes[index]) == index


class _Arrivals:
    """Pending answers; each is stored when it is ready on the log's clock."""

    def __init__(self, steps: Steps, pool: ThreadPoolExecutor | None) -> None:
        self._steps = steps
        self._pool = pool
        self._owners = Owners(steps.stream, steps.options.ttl_s)
        self._limited = steps.options.max_entries is not None  # the cache decides
        self._heap: list[tuple[float, int, Answer | Future[Answer | None] | None]] = []

    def expect(self, missed: Missed) -> None:
        if self._pool is None:
            answer: Answer | Future[Answer | None] | None = self._steps.ask(missed)
        else:
            answer = self._pool.submit(self._steps.guarded, self._steps.ask, missed)
        self.put(missed.index, answer)

    def put(self, index: int, answer: Answer | Future[Answer | None] | None) -> None:
        self._owners.claim(index)
        heapq.heappush(self._heap, (self._steps.ready_s[index], index, answer))

    def keep_until(self, now_s: float) -> None:
        while self._heap and self._heap[0][0] <= now_s:
            ready_s, index, coming = heapq.heappop(self._heap)
            answer = coming.result() if isinstance(coming, Future) else coming
            if answer is not None and (self._limited or self._owners.holds(index)):
                since_s = self._steps.ts_s[index]
                self._steps.store(index, answer.text, since_s, ready_s)

    @property
    def next_s(self) -> float:
        return self._heap[0][0] if self._heap else math.inf


def replay_by_log(steps: Steps, todo: list[int], arriving: list[tuple[int, Answer]]) -> None:
    """Replay requests in order; requests that can't see each other's answers share a round trip.

    `arriving` are answers of an interrupted run that are still due on the log's clock.
    """
    pool = ThreadPoolExecutor(steps.options.concurrency) if steps.is_live else None
    arrivals = _Arrivals(steps, pool)
    for index, answer in arriving:
        arrivals.put(index, answer)
    try:
        started, sent = time.monotonic(), 0
        while sent < len(todo):
            arrivals.keep_until(steps.ts_s[todo[sent]])
            batch = _batch(steps, todo, sent, arrivals.next_s)
            late_ms = _hold_back(steps, started, sent)
            for missed in steps.look_up(batch, lateness_ms=late_ms):
                arrivals.expect(missed)
            sent += len(batch)
        arrivals.keep_until(math.inf)
    except BaseException as error:
        steps.fail(error)
        raise
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def _batch(steps: Steps, todo: list[int], first: int, next_s: float) -> list[int]:
    """Return the requests from `first` on between which no answer can arrive."""
    options = steps.options
    alone = options.ttl_s is not None or options.max_rate is not None
    size = 1 if alone else options.pipeline
    batch: list[int] = []
    for index in todo[first : first + size]:
        if batch and steps.ts_s[index] >= next_s:
            break
        batch.append(index)
        next_s = min(next_s, steps.ready_s[index])
    return batch


def _hold_back(steps: Steps, started: float, sent: int) -> float:
    """Wait for the next request at the highest rate, and return how late it is, in ms."""
    if steps.options.max_rate is None:
        return 0.0
    due = started + sent / steps.options.max_rate
    time.sleep(max(0.0, due - time.monotonic()))
    return (time.monotonic() - due) * 1000


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer in the cache, or on its way there."""

    index: int
    answer: Answer
    ready_s: float
    since_s: float  # inserted, or renewed by the last hit


def kept_before(
    stream: ReplayStream, done: Mapping[int, Acknowledged], settings: CacheSettings
) -> list[Kept]:
    """Return what earlier misses stored, in the order in which it became ready."""
    if settings.shadow:
        return []
    renewed: dict[str, float] = {}
    if settings.ttl_kind == "sliding":
        for index in sorted(done):
            matched_id = done[index].matched_id
            if matched_id is not None:
                renewed[matched_id] = float(stream.ts_s[index])
    owners = Owners(stream, settings.ttl_s)
    misses = [index for index in sorted(done) if done[index].result == "miss"]
    for index in misses:
        owners.claim(index)
    kept = []
    for index in misses:
        if settings.speed is not None or owners.holds(index):
            record = done[index]
            text = stream.answers[index] if record.answer is None else record.answer
            ready_s = float(stream.ready_s[index])
            started_s = float(stream.ts_s[index]) if settings.speed is None else ready_s
            since_s = max(started_s, renewed.get(stream.request_ids[index], started_s))
            answer = Answer(text, record.tokens, record.latency_ms or 0.0)
            kept.append(Kept(index, answer, ready_s, since_s))
    return sorted(kept, key=lambda item: (item.ready_s, item.index))
