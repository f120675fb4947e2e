"""Map a function over partitions in this process and others, or over items in threads."""

import ctypes
import gc
import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain, islice
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from costaudit.errors import BackendError

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

P = TypeVar("P")
R = TypeVar("R")
RESTARTS = 3  # of the pool; a partition that needs too much memory would kill it endlessly


@dataclass
class _Task(Generic[P, R]):
    """A partition and its result, which another process may still compute."""

    function: Callable[[P], R]
    partition: P
    future: "Future[R]"


class Pool:
    """This process and others, which stay until it is closed; killed ones are replaced.

    The others start when there is more than one partition. Each first calls `prepare`.
    """

    def __init__(self, workers: int, prepare: Callable[[], None] | None = None) -> None:
        self.workers = workers
        self._processes = workers - 1
        self._prepare = prepare
        self._restarts = 0
        self._executor = self._started()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes; partitions that have begun are finished first."""
        self._executor.shutdown(cancel_futures=True)

    def _started(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        most = max(self._processes, 1)  # they start when they get a partition
        begin = partial(_begin, self._prepare)
        return ProcessPoolExecutor(most, mp_context=context, initializer=begin)

    def map(self, function: Callable[[P], R], partitions: Iterable[P]) -> Iterator[R]:
        """Yield `function` of each partition, in order; with `workers` > 1, in that many processes.

        This process is one of them, and works while the others start. Then `function` and the
        partitions must be picklable, and at most 4 x `workers` partitions are in progress. The
        partitions of a process that was killed are mapped again; raises BackendError if processes
        are killed more than RESTARTS times.
        """
        if not self._processes:
            yield from map(function, partitions)
            return
        waiting = iter(partitions)
        pending: deque[_Task[P, R]] = deque()
        try:
            for partition in waiting:
                place = len(pending)
                self._share(function, waiting, pending)
                own: Future[R] = Future()
                own.set_result(function(partition))
                pending.insert(place, _Task(function, partition, own))
                while pending and (pending[0].future.done() or len(pending) >= 4 * self.workers):
                    yield self._result(pending)
            while pending:
                yield self._result(pending)
        finally:
            for task in pending:
                task.future.cancel()

    def _share(
        self, function: Callable[[P], R], waiting: Iterator[P], pending: deque[_Task[P, R]]
    ) -> None:
        """Submit waiting partitions, until each process has two."""
        missing = 2 * self._processes - sum(not task.future.done() for task in pending)
        for partition in islice(waiting, max(missing, 0)):
            task: _Task[P, R] = _Task(function, partition, Future())
            pending.append(task)
            try:
                task.future = self._submitted(task)
            except BrokenProcessPool:
                self._again(pending)

    def _result(self, pending: deque[_Task[P, R]]) -> R:
        """Remove the first task and return its result."""
        while True:
            try:
                value = pending[0].future.result()
            except BrokenProcessPool:
                self._again(pending)
                continue
            pending.popleft()
            return value

    def _submitted(self, task: _Task[P, R]) -> "Future[R]":
        with _without_main():
            return self._executor.submit(task.function, task.partition)

    def _again(self, pending: deque[_Task[P, R]]) -> None:
        """Start new processes, and submit again what the killed ones had."""
        self._restarts += 1
        if self._restarts > RESTARTS:
            raise BackendError(
                f"Worker processes were killed {self._restarts} times, perhaps for lack of memory.",
                hint="Free memory and run again: it continues there. --engine local needs least.",
            )
        self._executor.shutdown(cancel_futures=True)
        self._executor = self._started()
        for task in pending:
            if _is_lost(task.future):
                task.future = self._submitted(task)


def _begin(prepare: Callable[[], None] | None) -> None:
    """Begin a worker process, which ends when the process that started it has ended.

    Without this it waits forever for work if that process was killed: it holds both ends of the
    pipe.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if prepare is not None:
        prepare()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _is_lost(future: "Future[Any]") -> bool:
    """Return whether a future will never have a result of its function."""
    if not future.done() or future.cancelled():
        return True
    return isinstance(future.exception(), BrokenProcessPool)


@contextmanager
def _without_main() -> Iterator[None]:
    """Prevent new processes from running the caller's script again.

    A new process would import it as its main module. A script that calls the library without `if
    __name__ == "__main__"` would then start itself endlessly.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def default_workers() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


T = TypeVar("T")


def in_threads(
    function: Callable[[T], R], items: Iterator[T], workers: int | None = None
) -> Iterator[R]:
    """Yield `function` of each item in order, a few at a time, each on one processor.

    workers: most threads; None: one per processor. One item, or one worker, needs no thread.
    """
    workers = workers or default_workers()
    few = list(islice(items, 2))
    if len(few) < 2 or workers == 1:
        yield from map(function, chain(few, items))
        return
    with ThreadPoolExecutor(workers) as pool:
        pending = []
        for item in chain(few, items):
            pending.append(pool.submit(function, item))
            if len(pending) > 2 * workers:
                yield pending.pop(0).result()
        for done in pending:
            yield done.result()


def single_products() -> AbstractContextManager[Any]:
    """Limit each matrix product to one processor, so that our threads don't wait for it."""
    limits: AbstractContextManager[Any] = _libraries().limit(limits=1, user_api="blas")
    return limits


@cache
def _libraries() -> "ThreadpoolController":
    """Return the loaded libraries with threads; NumPy's is one of them from its import on."""
    import numpy as np  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def return_memory(*, cycles: bool = False) -> None:
    """Return freed memory to the system: batches of many sizes fragment the heap.

    `cycles` first frees what only refers to itself. When numba compiles a loop, the frames of its
    callers stay there with their arrays: a gigabyte after the sample of ten million calls.
    """
    if cycles:
        gc.collect()
    with suppress(AttributeError, OSError, TypeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)
