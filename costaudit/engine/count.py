"""Count work of several processes while it goes on, so that long partitions show progress."""

import os
import threading
from collections.abc import Callable, Iterator, MutableSequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context

SLOTS = 1_024  # a process counts in its own, so that no lock is needed, which a kill could leave
SECONDS = 0.2  # between two looks at the counts

_slots: MutableSequence[int] | None = None  # what this process counts in; None: nobody looks


def report(amount: int) -> None:
    """Count a part of this process's work, if somebody looks at the counts."""
    if _slots is not None:
        _slots[os.getpid() % SLOTS] += amount


def count_in(slots: MutableSequence[int] | None) -> None:
    """Let this process count in shared slots, or in none."""
    global _slots
    _slots = slots


@dataclass
class Watch:
    """Passes on what was counted since it last looked."""

    slots: MutableSequence[int]
    advance: Callable[[int], None]
    told: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def joins(self) -> Callable[[], None]:
        """What another process must call to count, too."""
        return partial(count_in, self.slots)

    def look(self) -> None:
        """Pass on what is new."""
        self.settle(sum(self.slots))

    def settle(self, total: int) -> None:
        """Pass on what is missing of a total: two processes may have shared a slot."""
        if total > self.told:
            self.advance(total - self.told)
            self.told = total

    def go_on(self) -> None:
        """Look until the work has ended."""
        while not self.ended.wait(SECONDS):
            self.look()


@contextmanager
def watched(advance: Callable[[int], None], workers: int) -> Iterator[Watch]:
    """Pass what `report` counts in up to `workers` processes to `advance`, several times a second.

    It is called in a thread of its own, which has ended when the context ends.
    """
    slots: MutableSequence[int]
    slots = get_context("spawn").RawArray("q", SLOTS) if workers > 1 else [0] * SLOTS
    watch = Watch(slots, advance)
    thread = threading.Thread(target=watch.go_on, daemon=True)
    count_in(slots)
    thread.start()
    try:
        yield watch
    finally:
        watch.ended.set()
        thread.join()
        count_in(None)
