"""Map a function over partitions, in this process or in several."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from typing import TypeVar

P = TypeVar("P")
R = TypeVar("R")


def map_partitions(
    function: Callable[[P], R], partitions: Iterable[P], workers: int = 1
) -> Iterator[R]:
    """Yield `function` of each partition, in order; `workers` > 1 runs it in so many processes.

    This process is one of them: it works while the others start. `function` and the partitions must
    be picklable then, and at most 4 x `workers` partitions are in flight.
    """
    if workers <= 1:
        yield from map(function, partitions)
        return
    waiting = iter(partitions)
    context = multiprocessing.get_context("spawn")
    flying: deque[Future[R]] = deque()
    with ProcessPoolExecutor(workers - 1, mp_context=context) as pool:

        def share() -> None:
            missing = 2 * (workers - 1) - sum(not future.done() for future in flying)
            flying.extend(pool.submit(function, p) for p in islice(waiting, max(missing, 0)))

        share()
        for partition in waiting:
            own: Future[R] = Future()
            own.set_result(function(partition))
            flying.append(own)
            share()
            while flying and (flying[0].done() or len(flying) >= 4 * workers):
                yield flying.popleft().result()
        while flying:
            yield flying.popleft().result()


def default_workers() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
