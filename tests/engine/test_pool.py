"""Partitions are returned in order, from one process or several, without holding all of them."""

import operator
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from costaudit.engine.count import report, watched
from costaudit.engine.engine import Processes
from costaudit.engine.pool import default_workers, in_threads


@pytest.mark.parametrize("workers", [1, 2])
def test_results_keep_the_order_of_partitions(workers: int) -> None:
    got = list(Processes(workers).map(operator.neg, range(20)))
    assert got == [-n for n in range(20)]


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_results_of_threads_keep_their_order_and_one_item_needs_no_thread(count: int) -> None:
    found = list(in_threads(lambda n: (-n, threading.get_ident()), iter(range(count))))
    assert [number for number, _ in found] == [-n for n in range(count)]
    own = {thread == threading.get_ident() for _, thread in found}
    assert own == (set() if not count else {count == 1})


def test_a_pool_takes_partitions_only_as_it_needs_them() -> None:
    taken = 0

    def partitions() -> Iterator[int]:
        nonlocal taken
        for n in range(50):
            taken += 1
            yield n

    results = Processes(2).map(operator.neg, partitions())
    assert next(results) == 0
    assert taken <= 8
    assert list(results) == [-n for n in range(1, 50)]


def test_this_process_works_too() -> None:
    processes = set(Processes(2).map(process_of, [0.2] * 20))
    assert os.getpid() in processes
    assert len(processes) == 2


def test_one_partition_starts_no_process() -> None:
    assert list(Processes(2).map(process_of, [0.0])) == [os.getpid()]


def test_processes_stay_for_the_next_partitions() -> None:
    with closing(Processes(2)) as engine:
        first, second = (set(engine.map(process_of, [0.2] * 10)) for _ in range(2))
    assert len(first) == 2 and first == second


def negated(value: Any) -> Any:
    return -value


def process_of(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def test_processes_end_with_the_one_that_started_them() -> None:
    code = (
        "from costaudit.engine.engine import Processes\n"
        "from tests.engine.test_pool import process_of\n"
        "for process in Processes(2).map(process_of, [0.2] * 1_000):\n"
        "    print(process, flush=True)\n"
    )
    starter = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert starter.stdout
    assert any(int(line) != starter.pid for line in starter.stdout)
    starter.kill()
    starter.communicate(timeout=60)  # ends when no other process holds its output


def test_a_failing_partition_is_not_swallowed() -> None:
    with pytest.raises(TypeError):
        list(Processes(2).map(negated, [1, "two"]))


def test_there_is_at_least_one_worker() -> None:
    assert default_workers() >= 1


def in_steps(seconds: float) -> int:
    for _ in range(10):
        time.sleep(seconds / 10)
        report(1)
    return 10


@pytest.mark.parametrize("workers", [1, 2])
def test_work_is_counted_while_partitions_go_on(workers: int) -> None:
    told: list[int] = []
    with watched(told.append, workers) as watch:
        done = list(Processes(workers).map(in_steps, [1.0] * 4, watch.joins))
    watch.settle(sum(done))
    assert sum(told) == sum(done) == 40
    assert len(told) > 4  # not at the end of a partition
    report(5)  # nobody looks
    assert sum(told) == 40


def test_a_failure_ends_the_watch() -> None:
    before = set(threading.enumerate())  # of which those of earlier tests may end meanwhile
    with pytest.raises(TypeError), watched(lambda _: None, 1):
        assert set(threading.enumerate()) - before
        list(Processes().map(negated, ["two"]))
    assert not set(threading.enumerate()) - before
