"""Work on all processors by threads: numpy's products and the kernels release the lock."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_threads(function: Callable[[T], R], items: Iterator[T]) -> Iterator[R]:
    """Yield `function` of each item in order, a few at a time, each on one processor."""
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    with ThreadPoolExecutor(workers) as pool:
        flying = []
        for item in items:
            flying.append(pool.submit(function, item))
            if len(flying) > 2 * workers:
                yield flying.pop(0).result()
        for done in flying:
            yield done.result()


def single_products() -> AbstractContextManager[Any]:
    """Keep each product of matrices on one processor, so that threads of ours don't wait for it."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(1, user_api="blas")
    return limits
