"""Map a function over partitions: in this process, its threads or several processes."""

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from types import ModuleType
from typing import Any, TypeVar

P = TypeVar("P")
R = TypeVar("R")


def map_partitions(
    function: Callable[[P], R],
    partitions: Iterable[P],
    workers: int = 1,
    prepare: Callable[[], None] | None = None,
) -> Iterator[R]:
    """Yield `function` of each partition, in order; with `workers` > 1, in that many processes.

    This process is one of them, and works while the others start. Then `function` and the
    partitions must be picklable, and at most 4 x `workers` partitions are in progress. Each other
    process first calls `prepare`.
    """
    if workers <= 1:
        yield from map(function, partitions)
        return
    waiting = iter(partitions)
    context = multiprocessing.get_context("spawn")
    pending: deque[Future[R]] = deque()
    with ProcessPoolExecutor(workers - 1, mp_context=context, initializer=prepare) as pool:

        def share() -> None:
            missing = 2 * (workers - 1) - sum(not future.done() for future in pending)
            with _without_main():
                pending.extend(pool.submit(function, p) for p in islice(waiting, max(missing, 0)))

        share()
        for partition in waiting:
            own: Future[R] = Future()
            own.set_result(function(partition))
            pending.append(own)
            share()
            while pending and (pending[0].done() or len(pending) >= 4 * workers):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


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


def in_threads(function: Callable[[T], R], items: Iterator[T]) -> Iterator[R]:
    """Yield `function` of each item in order, a few at a time, each on one processor."""
    workers = default_workers()
    with ThreadPoolExecutor(workers) as pool:
        pending = []
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > 2 * workers:
                yield pending.pop(0).result()
        for done in pending:
            yield done.result()


def single_products() -> AbstractContextManager[Any]:
    """Limit each matrix product to one processor, so that our threads don't wait for it."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(1, user_api="blas")
    return limits
