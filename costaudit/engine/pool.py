"""Map a function over partitions, in this process or over a process pool."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from typing import TypeVar

P = TypeVar("P")
R = TypeVar("R")


def map_partitions(
    function: Callable[[P], R], partitions: Iterable[P], workers: int = 1
) -> Iterator[R]:
    """Yield `function` of each partition, in order; `workers` > 1 runs them in processes.

    With a pool, `function` and the partitions must be picklable, and at most 2 x `workers`
    partitions are in flight, so memory does not grow with their number.
    """
    if workers <= 1:
        yield from map(function, partitions)
        return
    waiting = iter(partitions)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        flying: list[Future[R]] = [pool.submit(function, p) for p in islice(waiting, 2 * workers)]
        while flying:
            done = flying.pop(0)
            result = done.result()
            flying.extend(pool.submit(function, p) for p in islice(waiting, 1))
            yield result


def default_workers() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
