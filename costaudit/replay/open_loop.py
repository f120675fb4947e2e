"""Replay in open loop: the log's clock, faster or not, decides when each request is sent."""

import gc
import heapq
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial

import numpy as np
import numpy.typing as npt

from costaudit.providers.call import Answer
from costaudit.replay.steps import Missed, Steps

CLOSE_S = 0.002  # before a due time; from here on, only the clock is watched
SWITCHING_S = 0.0005  # thread switch interval; Python's default is 5 ms


def send_times(
    ts_s: npt.NDArray[np.float64], speed: float, max_rate: float | None
) -> npt.NDArray[np.float64]:
    """Return when to send each request, in seconds from the first; answers do not matter.

    With `max_rate`, requests are at least 1 / max_rate seconds apart.
    """
    due: npt.NDArray[np.float64] = (ts_s - ts_s[0]) / speed
    if max_rate is not None:
        gaps = np.arange(len(due)) / max_rate
        due = np.maximum.accumulate(due - gaps) + gaps
    return due


class _Clock:
    """Converts between seconds since the first send and the log's clock."""

    def __init__(self, first_s: float, speed: float) -> None:
        self._first_s = first_s
        self._speed = speed
        self._started = time.monotonic()

    def elapsed_s(self) -> float:
        return time.monotonic() - self._started

    def log_s(self) -> float:
        return self._first_s + self.elapsed_s() * self._speed

    def due_s(self, log_s: float) -> float:
        """Return the time at which the log's clock shows `log_s`."""
        return (log_s - self._first_s) / self._speed


class _Crew:
    """Threads that take turns: one waits for the next due step and does it.

    Requests do not move between threads, so none is late because a thread must wake up.
    """

    def __init__(self, steps: Steps, clock: _Clock) -> None:
        self._steps = steps
        self._clock = clock
        self._turn = threading.Lock()  # its holder waits for the next due step
        self._models = ThreadPoolExecutor(steps.options.concurrency, "model")  # off the turns
        self._answers: list[tuple[float, int, Answer]] = []  # recorded answers by due time
        self._changed = threading.Condition()  # new answers, or the run failed
        self._failed = False
        self._sends: Iterator[tuple[int, float]] = iter(())
        self._next: tuple[int, float] | None = None

    def run(self, todo: list[int], due_s: npt.NDArray[np.float64]) -> None:
        self._sends = iter(zip(todo, due_s.tolist(), strict=True))
        self._next = next(self._sends, None)
        crew = [
            threading.Thread(target=self._work, name="lookup", daemon=True)
            for _ in range(self._steps.options.concurrency)
        ]
        try:
            for one in crew:
                one.start()
            for one in crew:
                one.join()
            self._models.shutdown()
        except BaseException:
            self._stop()
            raise
        finally:
            for one in crew:
                if one.ident is not None:  # an interrupt may come before all threads started
                    one.join()
            self._models.shutdown(cancel_futures=True)
        self._steps.check()
        for _, index, answer in sorted(self._answers, key=lambda item: item[:2]):
            self._store(index, answer.text)

    def await_answer(self, index: int, answer: Answer) -> None:
        """Store an answer at its arrival on the log's clock."""
        due = self._clock.due_s(self._steps.ready_s[index])
        with self._changed:
            heapq.heappush(self._answers, (due, index, answer))
            if self._answers[0][1] == index:
                self._changed.notify()

    def _work(self) -> None:
        with suppress(BaseException):  # the first failure is kept, and `run` raises it
            while True:
                with self._turn:
                    step = self._due()
                if step is None:
                    return
                self._guarded(step)

    def _due(self) -> Callable[[], None] | None:
        """Wait for the next due step and return it; None if nothing is left to send."""
        with self._changed:
            while self._next is not None and not self._failed:
                index, due = self._next
                next_due = self._answers[0][0] if self._answers else math.inf
                left_s = min(due, next_due) - self._clock.elapsed_s()
                if left_s > 0:
                    self._wait(left_s)
                elif next_due <= due:
                    _, index, answer = heapq.heappop(self._answers)
                    return partial(self._store, index, answer.text)
                else:
                    self._next = next(self._sends, None)
                    return partial(self._send, index, due)
        return None

    def _wait(self, left_s: float) -> None:
        """Sleep; the last moment uses a precise sleep, as a condition's wait ends too late."""
        if left_s > CLOSE_S:
            self._changed.wait(left_s - CLOSE_S)
        else:
            time.sleep(left_s)

    def _guarded(self, step: Callable[..., None], *args: object) -> None:
        try:
            self._steps.guarded(step, *args)
        except BaseException:
            self._stop()
            raise

    def _stop(self) -> None:
        with self._changed:
            self._failed = True
            self._changed.notify()  # wake the waiting thread before the next request

    def _send(self, index: int, due: float) -> None:
        lateness_ms = max(0.0, self._clock.elapsed_s() - due) * 1000
        for missed in self._steps.look_up([index], self._clock.log_s(), lateness_ms):
            if self._steps.is_live:
                self._models.submit(self._guarded, self._ask, missed)
            else:
                answer = self._steps.ask(missed)
                if answer is not None:
                    self.await_answer(index, answer)

    def _ask(self, missed: Missed) -> None:
        answer = self._steps.ask(missed)
        if answer is not None:
            self._store(missed.index, answer.text)

    def _store(self, index: int, answer: str) -> None:
        now_s = self._clock.log_s()
        self._steps.store(index, answer, now_s, now_s)  # a real cache counts from the insertion


def replay_by_clock(
    steps: Steps, todo: list[int], arriving: list[tuple[int, Answer]], speed: float
) -> None:
    """Send each request by the log's clock, `speed` times as fast.

    `arriving` are answers of an interrupted run that are still due on the log's clock.
    """
    if not todo:
        return
    ts_s = steps.stream.ts_s[todo]
    due_s = send_times(ts_s, speed, steps.options.max_rate)
    with _prompt_threads():
        crew = _Crew(steps, _Clock(float(ts_s[0]), speed))
        for index, answer in arriving:
            crew.await_answer(index, answer)
        try:
            crew.run(todo, due_s)
        except BaseException as error:
            steps.fail(error)
            raise


@contextmanager
def _prompt_threads() -> Iterator[None]:
    """Let a due thread run immediately, without waiting for other threads or garbage collection."""
    switching_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCHING_S)
    gc.freeze()  # what is there already need not be gone through again
    try:
        yield
    finally:
        gc.unfreeze()
        sys.setswitchinterval(switching_s)
