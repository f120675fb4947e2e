"""Find and kill Ray's workers while they map partitions."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def _parent(process: int) -> int:
    """Return the id of a process's parent; 0 if there is no such process."""
    with suppress(OSError):
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _at_work() -> Iterator[int]:
    """Yield Ray's workers, below this process, that map a partition now."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if not path.read_bytes().startswith(b"ray::_run"):
                continue
            found = above = int(path.parent.name)
            while above > 1 and above != os.getpid():
                above = _parent(above)
            if above == os.getpid():
                yield found


@contextmanager
def a_worker_is_killed() -> Iterator[list[int]]:
    """Kill the first worker that is seen at work, and yield a list that gets its id then."""
    killed: list[int] = []
    ended = threading.Event()

    def watch() -> None:
        while not killed and not ended.wait(0.002):
            for process in _at_work():
                os.kill(process, signal.SIGKILL)
                killed.append(process)
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield killed
    finally:
        ended.set()
        thread.join()
