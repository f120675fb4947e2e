"""Temporary folders, and locks that tell whether the process that made a file is alive."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "costaudit-"
LOCK = ".lock"  # end of a file beside a temporary folder; it is locked while its process lives


def locked(handle: int) -> bool:
    """Lock an open file for this process; if files can't be locked, treat it as free."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


@contextmanager
def scratch_folder(name: str = "", within: Path | None = None) -> Iterator[Path]:
    """Yield a temporary folder that is removed at the end, in the system's place or `within` one.

    First remove the folders that killed processes of this user left: they may hold prompts.
    """
    remove_left(within)
    handle, lock = _claimed(name, within)
    folder = lock.with_suffix("")
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        _remove(folder, lock)
        os.close(handle)


def remove_left(within: Path | None = None) -> None:
    """Remove the temporary folders of killed processes of this user; on Windows do nothing."""
    if not hasattr(os, "getuid"):
        return
    for lock in (within or Path(tempfile.gettempdir())).glob(f"{PREFIX}*{LOCK}"):
        with suppress(OSError):  # its process lives, or that can't be told
            if lock.lstat().st_uid == os.getuid():
                _remove_unclaimed(lock)


def _claimed(name: str, within: Path | None) -> tuple[int, Path]:
    """Make a locked file beside a temporary folder; return its handle and its path."""
    while True:
        handle, path = tempfile.mkstemp(LOCK, f"{PREFIX}{name}", within)
        if locked(handle) and os.fstat(handle).st_nlink:
            return handle, Path(path)
        os.close(handle)  # another process has removed it before it was locked


def _remove_unclaimed(lock: Path) -> None:
    import fcntl

    handle = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(lock.with_suffix(""), lock)
    finally:
        os.close(handle)


def _remove(folder: Path, lock: Path) -> None:
    """Remove a folder and its lock, in an order in which a kill loses none of them."""
    shutil.rmtree(folder, ignore_errors=True)
    lock.unlink(missing_ok=True)
