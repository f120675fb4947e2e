"""Keep a run directory on object storage: work on a local copy, and commit it by a manifest."""

import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import TypeVar
from uuid import uuid4

import msgspec
from xxhash import xxh3_64_hexdigest

from costaudit.contracts.run_dir import atomic_write
from costaudit.errors import BackendError, RunDirError, UsageError
from costaudit.ingest.assembly.parquet_parts import join_parts
from costaudit.ingest.files.containers import is_of_a_client
from costaudit.pipeline.stored_files import (
    READABLE,
    VERSION,
    Stored,
    StoredFile,
    cut_table,
    described,
    digest_of,
    files_of,
)
from costaudit.scratch import scratch_folder

MANIFEST, LOCK = "costaudit-run.json", "costaudit-run.lock"
THREADS = 16  # transfers at once
_FOR_WRITERS = r"staging/[^/]+/piece-.*|outcomes/.*"  # files that nobody else reads
_AUDIT = r"audit\.json|report\.html|centres\.parquet"
_BESIDE_TABLES = rf"{_FOR_WRITERS}|(vectors|signatures)/.*|{_AUDIT}"
_OWN = re.compile(
    r"data/[0-9a-f]{32}-.+|(requests/month=[^/]+|blocks)/[0-9a-f]{32}\.parquet"
)  # names of objects that only a commit makes
T = TypeVar("T")
R = TypeVar("R")
_writing: set[str] = set()  # tokens of the locks that this process holds
_COLLAPSED = re.compile(r"([a-z][a-z0-9+.-]+):/+(?=[^/])")  # pathlib writes s3://b as s3:/b


class Reads(Enum):
    """What a command reads of a run; the value matches the files that it never opens."""

    ALL = _FOR_WRITERS
    TABLES = _BESIDE_TABLES
    CALLS = rf"{_BESIDE_TABLES}|blocks\.parquet"
    AUDIT = rf"(?!({_AUDIT}|manifest\.json)$).*"


@dataclass(frozen=True)
class Writer:
    """Who writes a stored run now."""

    token: str
    host: str
    process: int
    since: str  # ISO 8601, UTC, by the writer's own clock; it is only shown


def url_of(path: str | os.PathLike[str]) -> str | None:
    """Return the URL that a path came from; None for a path of this machine."""
    text = os.fspath(path)
    found = _COLLAPSED.match(text)
    if found is None or Path(text).exists():
        return None
    return f"{found[1]}://{text[found.end() :]}".rstrip("/")


def is_stored_run(url: str) -> bool:
    """Return whether a run is stored at an address that may also be one of logs.

    If that can't be told, it is taken for logs, whose reader says what is wrong.
    """
    if url.startswith(("http:", "https:")) or set(url) & set("*?["):
        return False
    try:
        return _Storage(url).committed() is not None
    except BackendError:
        return False


@contextmanager
def stored_run(url: str, *, writes: bool, reads: Reads = Reads.ALL) -> Iterator[Path]:
    """Yield a local copy of the run directory at `url`; with `writes`, commit it at the end.

    A copy to read has what `reads` says, and what earlier ones have read and is unchanged.
    Only one process may write; what it has not committed stays in the local copy, so that the next
    one continues. Raises UsageError if another process is writing, RunDirError if there is nothing
    to read, BackendError if the storage fails.
    """
    storage = _Storage(url)
    local = _cache() / xxh3_64_hexdigest(url.encode())
    local.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not writes:
        stored = storage.committed()
        if stored is None:
            raise RunDirError(
                f"There is no run at {url}.", hint=f"Make one with `analyze LOG --out {url}`."
            )
        storage.fetch(stored, local / "read", re.compile(reads.value))
        yield local / "read"
        return
    with storage.locked() as writer:
        stored = storage.committed() or Stored(VERSION, 0, "", {})
        folder, base = local / "write", local / "generation"
        if not base.exists() or base.read_text() != str(stored.generation):
            base.unlink(missing_ok=True)  # another machine has written the run
            storage.fetch(stored, folder)
            base.write_text(str(stored.generation))
        yield folder
        made = storage.commit(folder, stored, writer)
        base.write_text(str(made.generation))
        shutil.rmtree(local / "read", ignore_errors=True)


def _cache() -> Path:
    """Return the folder of local copies."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "costaudit" / "runs"


class _Storage:
    """The objects below a URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        with self._explained("opened"):
            import fsspec

            # a new one, since the credentials may be new
            self._fs, root = fsspec.core.url_to_fs(
                url, use_listings_cache=False, skip_instance_cache=True
            )
        self._root = str(root).rstrip("/")

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Turn failures of the storage into errors with a next step."""
        try:
            yield
        except ImportError as error:
            raise BackendError(
                f"{self.url} can't be {what}: {error}.",
                hint="Install it: pip install 'costaudit[remote]'.",
            ) from None
        except PermissionError as error:
            raise BackendError(
                f"{self.url} can't be {what}: {error}.",
                hint="Renew the credentials, or allow reading, writing, deleting and listing "
                "there. If the time is named, set this machine's clock. Run the command again: it "
                "continues, and the stored run is as it was.",
            ) from None
        except Exception as error:
            if not isinstance(error, OSError | ValueError) and not is_of_a_client(error):
                raise
            raise BackendError(
                f"{self.url} can't be {what}: {error}.",
                hint="Check the address, the network and the credentials, which may have expired. "
                "Run the command again: it continues, and the stored run is as it was.",
            ) from None

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _read(self, name: str) -> bytes | None:
        with self._explained("read"):
            try:
                content: bytes = self._fs.cat_file(self._at(name))
            except FileNotFoundError:
                return None
            return content

    def committed(self) -> Stored | None:
        """Return the manifest of the stored run; None without one. Raises RunDirError."""
        content = self._read(MANIFEST)
        if content is None:
            return None
        try:
            stored = msgspec.json.decode(content, type=Stored)
        except msgspec.MsgspecError as error:
            raise RunDirError(
                f"{self.url}/{MANIFEST} can't be read: {error}.",
                hint="Delete it, and make the run again.",
            ) from None
        names = [*stored.files, *stored.objects]
        if stored.version not in READABLE or any(not _is_inside(name) for name in names):
            raise RunDirError(
                f"{self.url}/{MANIFEST} is of another version, or names files elsewhere.",
                hint="Make the run again at another address.",
            )
        return stored

    def fetch(self, stored: Stored, folder: Path, needless: re.Pattern[str] | None = None) -> None:
        """Make a local folder equal to the stored run; what is equal is not read again.

        Files that are `needless` are not read, and removed if they are not equal.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for path in files_of(folder):
            if path.relative_to(folder).as_posix() not in stored.files:
                path.unlink()

        def is_other(item: tuple[str, StoredFile]) -> bool:
            path = folder / item[0]
            return not path.is_file() or digest_of(path) != item[1].digest

        read: list[tuple[str, StoredFile]] = []
        for name, one in stored.files.items():
            if needless is None or not needless.fullmatch(name):
                read.append((name, one))
            elif not _is_of_commit(folder / name, one):
                (folder / name).unlink(missing_ok=True)  # it may hold what was erased
        others = [item for item, is_so in zip(read, _each(is_other, read), strict=True) if is_so]
        with scratch_folder("parts-", folder.parent) as scratch:
            self._bring(dict(others), folder, scratch)
        for name, one in read:
            os.utime(folder / name, ns=(one.mtime_ns, one.mtime_ns))

    def _bring(self, files: dict[str, StoredFile], folder: Path, scratch: Path) -> None:
        """Read files of the run; of a table, only the objects that the local one doesn't have."""
        tables = {name: one for name, one in files.items() if one.parts}
        held: dict[str, Path] = {}
        for name in tables:
            if (folder / name).is_file():
                held |= cut_table(folder / name, scratch)
        names = {name for one in tables.values() for name in one.parts} - held.keys()
        wanted = {name: scratch / name.replace("/", "-") for name in names}

        def read(item: tuple[str, Path]) -> None:
            self._get(item[0], item[1], PurePosixPath(item[0]).stem)

        def read_whole(item: tuple[str, StoredFile]) -> None:
            with atomic_write(folder / item[0]) as part:
                self._get(item[1].object, part, item[1].digest)

        _each(read_whole, [item for item in files.items() if item[0] not in tables])
        _each(read, list(wanted.items()))
        held |= wanted
        for name, one in tables.items():
            parts = [held[part] for part in one.parts]
            with atomic_write(folder / name) as whole, self._explained("read"):
                join_parts(parts[0], parts, whole)
                if digest_of(whole) != one.digest:
                    raise OSError(f"{name} is damaged")

    def _get(self, name: str, path: Path, digest: str) -> None:
        with self._explained("read"):
            self._fs.get_file(self._at(name), str(path))
            if digest_of(path) != digest:
                raise OSError(f"{name} is damaged")

    def commit(self, folder: Path, before: Stored, writer: Writer) -> Stored:
        """Store new content under names of its own, then the manifest, then drop what is old."""
        there = self._objects()

        def put(item: tuple[str, Path]) -> None:
            with self._explained("written"):
                self._fs.put_file(str(item[1]), self._at(item[0]))

        with scratch_folder("parts-", folder.parent) as scratch:
            files, content = described(folder, before, scratch)
            _each(put, [item for item in content.items() if item[0] not in before.objects])
        by = f"process {writer.process} on {writer.host}"
        made = Stored(VERSION, before.generation + 1, by, dict(sorted(files.items())))
        self._check_held(writer)
        with self._explained("written"):
            self._fs.pipe_file(self._at(MANIFEST), msgspec.json.encode(made))
        for name in sorted(there - made.objects):  # they may hold what was erased
            with self._explained("cleared of old objects"), suppress(FileNotFoundError):
                self._fs.rm_file(self._at(name))
        return made

    def _objects(self) -> set[str]:
        """Return the objects of this and earlier commits, also of those that did not end."""
        found: set[str] = set()
        for folder in ("data", "requests", "blocks"):
            with self._explained("listed"), suppress(FileNotFoundError):
                names = (str(path).removeprefix(f"{self._root}/") for path in
                         self._fs.find(self._at(folder)))  # fmt: skip
                found.update(name for name in names if _OWN.fullmatch(name))
        return found

    @contextmanager
    def locked(self) -> Iterator[Writer]:
        """Be the only writer; raises UsageError with the name of another one."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        writer = Writer(uuid4().hex, socket.gethostname(), os.getpid(), now)
        _writing.add(writer.token)  # before others can see the lock
        try:
            self._lock(writer)
            yield writer
        finally:
            with suppress(Exception):  # a lock of a writer that ended is taken over
                if self._holder() == writer:
                    self._fs.rm_file(self._at(LOCK))
            _writing.discard(writer.token)

    def _lock(self, writer: Writer) -> None:
        holder = self._holder()
        if holder is not None and _is_dead(holder):
            with self._explained("written"), suppress(FileNotFoundError):
                self._fs.rm_file(self._at(LOCK))
        with self._explained("written"), suppress(FileExistsError):
            self._fs.pipe_file(self._at(LOCK), msgspec.json.encode(writer), mode="create")
        self._check_held(writer)

    def _holder(self) -> Writer | None:
        content = self._read(LOCK)
        if content is None:
            return None
        try:
            return msgspec.json.decode(content, type=Writer)
        except msgspec.MsgspecError:
            return Writer("", "an unknown host", 0, "an unknown time")

    def _check_held(self, writer: Writer) -> None:
        holder = self._holder()
        if holder == writer:
            return
        told = (
            f"is being written by process {holder.process} on {holder.host}, since {holder.since}"
            if holder
            else "was unlocked by somebody while this command was writing it"
        )
        raise UsageError(
            f"{self.url} {told}.",
            hint=f"Wait until it is done. If that process has ended, delete {self.url}/{LOCK}.",
        )


def _is_dead(holder: Writer) -> bool:
    """Return whether a writer of this machine has ended: its process, or its work in this one."""
    if holder.host != socket.gethostname():
        return False
    if holder.process == os.getpid():
        return holder.token not in _writing
    try:
        os.kill(holder.process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _is_of_commit(path: Path, one: StoredFile) -> bool:
    """Return whether a file seems to be as stored, without reading it."""
    if not path.is_file():
        return False
    told = path.stat()
    return (told.st_size, told.st_mtime_ns) == (one.size, one.mtime_ns)


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts


def _each(work: Callable[[T], R], items: list[T]) -> list[R]:
    """Do the work for each item, several at once; raise the first failure."""
    pool = ThreadPoolExecutor(THREADS)
    try:
        return list(pool.map(work, items))
    finally:
        pool.shutdown(cancel_futures=True)
