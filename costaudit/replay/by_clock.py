"""Replay in open loop: the log's clock, sped up, says when each request is sent."""

import heapq
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from costaudit.replay.cache import Answer
from costaudit.replay.steps import Missed, Steps


def send_times(
    ts_s: npt.NDArray[np.float64], speed: float, max_rate: float | None
) -> npt.NDArray[np.float64]:
    """Say when to send each request, in seconds from the first; never from an answer.

    Under `max_rate` a request waits until 1 / max_rate after the one before it.
    """
    due: npt.NDArray[np.float64] = (ts_s - ts_s[0]) / speed
    if max_rate is not None:
        gaps = np.arange(len(due)) / max_rate
        due = np.maximum.accumulate(due - gaps) + gaps
    return due


class _Clock:
    """Seconds since the first send, and the log's clock at that moment."""

    def __init__(self, first_s: float, speed: float) -> None:
        self._first_s = first_s
        self._speed = speed
        self._started = time.monotonic()

    def elapsed_s(self) -> float:
        return time.monotonic() - self._started

    def log_s(self) -> float:
        return self._first_s + self.elapsed_s() * self._speed

    def due_s(self, log_s: float) -> float:
        """Say when the log's clock will show `log_s`."""
        return (log_s - self._first_s) / self._speed


class _Pacer:
    """Hand sends and recorded answers to worker threads when they are due."""

    def __init__(self, steps: Steps, clock: _Clock) -> None:
        concurrency = steps.options.concurrency
        self._steps = steps
        self._clock = clock
        self._lookups = ThreadPoolExecutor(concurrency, "lookup")
        self._models = ThreadPoolExecutor(concurrency, "model")  # slow: they hold up no lookup
        self._answers: list[tuple[float, int, Answer]] = []  # recorded, by when they are due
        self._changed = threading.Condition()  # of the answers
        self._finished = threading.Condition()  # of the steps that are running
        self._running = 0

    def run(self, todo: list[int], due_s: npt.NDArray[np.float64]) -> None:
        for index, due in zip(todo, due_s.tolist(), strict=True):
            self._keep_until(due)
            self._start(self._lookups, self._send, index, due)
        with self._finished:
            self._finished.wait_for(lambda: self._running == 0)
        self._steps.check()
        for _, index, answer in sorted(self._answers, key=lambda item: item[:2]):
            self._store(index, answer.text)

    def stop(self) -> None:
        self._lookups.shutdown(cancel_futures=True)
        self._models.shutdown(cancel_futures=True)

    def await_answer(self, index: int, answer: Answer) -> None:
        """Keep an answer once the log's clock says that it has arrived."""
        due = self._clock.due_s(self._steps.ready_s[index])
        with self._changed:
            heapq.heappush(self._answers, (due, index, answer))
            self._changed.notify()

    def _keep_until(self, due: float) -> None:
        """Wait until `due`, meanwhile starting to store what arrives before."""
        while True:
            with self._changed:
                self._steps.check()
                next_due = self._answers[0][0] if self._answers else math.inf
                now = self._clock.elapsed_s()
                if min(due, next_due) > now:
                    self._changed.wait(min(due, next_due) - now)
                    continue
                if next_due > due:
                    return
                _, index, answer = heapq.heappop(self._answers)
            self._start(self._lookups, self._store, index, answer.text)

    def _start(self, pool: ThreadPoolExecutor, step: Callable[..., None], *args: object) -> None:
        with self._finished:
            self._running += 1
        pool.submit(self._counted, step, *args)

    def _counted(self, step: Callable[..., None], *args: object) -> None:
        try:
            self._steps.guarded(step, *args)
        except BaseException:
            with self._changed:
                self._changed.notify()  # the pacer must not sleep on until the next request is due
            raise
        finally:
            with self._finished:
                self._running -= 1
                self._finished.notify()

    def _send(self, index: int, due: float) -> None:
        lateness_ms = max(0.0, self._clock.elapsed_s() - due) * 1000
        for missed in self._steps.look_up([index], self._clock.log_s(), lateness_ms):
            if self._steps.is_live:
                self._start(self._models, self._ask, missed)
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
    """Send each request when the log's clock, `speed` times as fast, says so.

    `arriving` are answers of an interrupted run that the log's clock has not reached.
    """
    if not todo:
        return
    ts_s = steps.stream.ts_s[todo]
    pacer = _Pacer(steps, _Clock(float(ts_s[0]), speed))
    for index, answer in arriving:
        pacer.await_answer(index, answer)
    try:
        pacer.run(todo, send_times(ts_s, speed, steps.options.max_rate))
    except BaseException as error:
        steps.fail(error)
        raise
    finally:
        pacer.stop()
