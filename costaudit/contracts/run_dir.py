"""The run directory: where each stage's result is, written whole or not at all."""

import os
import socket
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from glob import escape
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
import polars as pl

from costaudit.contracts.manifest import MANIFEST_VERSION, Manifest
from costaudit.contracts.requests import BLOCKS, MERGED, REQUESTS, SKIPS, check_table
from costaudit.errors import InputError, RunDirError, UsageError
from costaudit.scratch import locked
from costaudit.untrusted import check_entries, check_rows, decoded


class RunDir:
    """Name, read and write the files of one run; see `manifest.json` for what made them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def manifest_path(self) -> Path:
        """Versions, inputs with digests and byte ranges, options, tokenizer, embedder, prices."""
        return self.path / "manifest.json"

    @property
    def requests_path(self) -> Path:
        """REQUESTS."""
        return self.path / "requests.parquet"

    @property
    def blocks_path(self) -> Path:
        """BLOCKS."""
        return self.path / "blocks.parquet"

    @property
    def skips_path(self) -> Path:
        """SKIPS."""
        return self.path / "skips.parquet"

    @property
    def merged_path(self) -> Path:
        """MERGED; only where a record repeated a call."""
        return self.path / "merged.parquet"

    @property
    def vectors_path(self) -> Path:
        """A folder per embedder and revision."""
        return self.path / "vectors"

    @property
    def signatures_path(self) -> Path:
        """What the trap detectors found in texts, a file per list of texts."""
        return self.path / "signatures"

    @property
    def centres_path(self) -> Path:
        """The centres of the clusters, by which another run's clusters are recognised."""
        return self.path / "centres.parquet"

    @property
    def misses_path(self) -> Path:
        """What the last judge's verdicts show about the detectors (`Misses`)."""
        return self.path / "misses.json"

    @property
    def outcomes_path(self) -> Path:
        """A folder of OUTCOMES tables."""
        return self.path / "outcomes"

    @property
    def audit_path(self) -> Path:
        """The Audit as JSON."""
        return self.path / "audit.json"

    @property
    def report_path(self) -> Path:
        """The HTML report."""
        return self.path / "report.html"

    @property
    def erasing_path(self) -> Path:
        """What an erasure that has not ended yet found; without it, none was interrupted."""
        return self.path / ".erasing.json"

    @property
    def marker_path(self) -> Path:
        """Says that costaudit writes this folder, and which process does so now."""
        return self.path / ".costaudit"

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the folder as a run directory that only this process writes.

        Raises UsageError where it holds files of somebody else, which are left alone, or where
        another process is writing it; RunDirError where it holds links.
        """
        if not self.marker_path.exists() and self._is_of_others():
            raise UsageError(
                f"{self.path} holds files that are not costaudit's.",
                hint="Name an empty or a new folder with --out; nothing was written.",
            )
        self.path.mkdir(parents=True, exist_ok=True)
        check_entries(self.path)
        with self.marker_path.open("a+", encoding="utf-8") as marker:
            if not locked(marker.fileno()):
                marker.seek(0)
                raise UsageError(
                    f"{self.path} is being written by {_owner(marker.read())}.",
                    hint="Wait until it is done, or name another folder with --out.",
                )
            marker.truncate(0)
            marker.write(f"{os.getpid()} {socket.gethostname()} {time.time():.0f}\n")
            marker.flush()
            yield

    def _is_of_others(self) -> bool:
        """Return whether the folder has content but no manifest of any costaudit version."""
        entries = [one for one in self.path.glob("*") if one.name != "manifest.json"]
        return bool(entries or self.manifest_path.exists()) and (
            "manifest_version" not in self.manifest_of_any_version()
        )

    @staticmethod
    def is_run(path: Path) -> bool:
        """Return whether `path` is a run directory."""
        return (path / "manifest.json").is_file()

    def requests(self, without: Collection[str] = ()) -> pl.DataFrame:
        """Read REQUESTS, except some columns; raises RunDirError where it is missing or unfit."""
        return self._table(self.requests_path, REQUESTS, without)

    def request_slices(self, columns: Sequence[str], rows: int) -> Iterator[pl.DataFrame]:
        """Yield columns of REQUESTS, so many rows at a time; `requests` checks the table."""
        at = 0
        while not (part := self.request_rows(columns, at, rows)).is_empty():
            at += len(part)
            yield part

    def request_rows(self, columns: Sequence[str], first: int, count: int) -> pl.DataFrame:
        """Read columns of some rows of REQUESTS; `requests` and `request_count` check the table."""
        with self._readable(self.requests_path):
            return pl.scan_parquet(self.requests_path).select(columns).slice(first, count).collect()

    def request_count(self) -> int:
        """Return how many rows REQUESTS has; raises RunDirError where it is missing or unfit."""
        return int(self._checked(self.requests_path, REQUESTS).select(pl.len()).collect().item())

    def blocks(self, without: Collection[str] = ()) -> pl.DataFrame:
        """Read BLOCKS, except some columns; raises RunDirError where it is missing or unfit."""
        return self._table(self.blocks_path, BLOCKS, without)

    def skips(self) -> pl.DataFrame:
        """Read SKIPS whole; raises RunDirError where it is missing or of another version."""
        return self._table(self.skips_path, SKIPS)

    def merged(self) -> pl.DataFrame:
        """Read MERGED; empty where no record repeated a call."""
        if not self.merged_path.is_file():
            return pl.DataFrame(schema=MERGED)
        return self._table(self.merged_path, MERGED)

    def manifest(self) -> Manifest:
        """Read the manifest; raises RunDirError where there is none or it can't be read."""
        check_entries(self.path)
        try:
            found = decoded(self.manifest_path)
        except FileNotFoundError:
            raise RunDirError(
                f"{self.path} is not a run directory: it has no manifest.json.",
                hint="Make one with `costaudit ingest LOG --out DIR`.",
            ) from None
        if not isinstance(found, dict) or found.get("manifest_version") != MANIFEST_VERSION:
            raise RunDirError(
                f"{self.path} was written by another version of costaudit.",
                hint="Ingest the log again with this version.",
            )
        try:
            return msgspec.convert(found, Manifest)
        except msgspec.ValidationError as error:
            raise RunDirError(
                f"{self.manifest_path} can't be read: {error}.", hint="Ingest the log again."
            ) from None

    def manifest_of_any_version(self) -> dict[str, Any]:
        """Read the manifest as it is; return {} where there is none that can be read."""
        try:
            manifest = decoded(self.manifest_path)
        except (OSError, RunDirError):
            return {}
        return manifest if isinstance(manifest, dict) else {}

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest whole or not at all."""
        ordered = dict(sorted(msgspec.to_builtins(manifest).items()))
        text = msgspec.json.format(msgspec.json.encode(ordered), indent=2)
        with atomic_write(self.manifest_path) as path:
            path.write_bytes(text + b"\n")

    def _table(self, path: Path, schema: pl.Schema, without: Collection[str] = ()) -> pl.DataFrame:
        self._checked(path, schema)
        with self._readable(path):
            return _read(path, [name for name in schema if name not in without])

    def _checked(self, path: Path, schema: pl.Schema) -> pl.LazyFrame:
        if not path.is_file():
            hint = f"Make it with `costaudit ingest LOG --out {self.path}`."
            raise RunDirError(f"{self.path} has no {path.name}.", hint=hint)
        with self._readable(path):
            check_rows(path)
            check_table(table := pl.scan_parquet(path), schema, path.name)
            return table

    @staticmethod
    @contextmanager
    def _readable(path: Path) -> Iterator[None]:
        """Raise RunDirError if a table can't be read."""
        try:
            yield
        except pl.exceptions.PolarsError as error:
            raise RunDirError(
                f"{path} can't be read: {error}.", hint="Ingest the log again."
            ) from None


BY_COLUMN = 2**20  # bytes of a file from which on it is read column by column


def _read(path: Path, columns: list[str]) -> pl.DataFrame:
    """Read columns of a table; if it is large, a column with one value takes no memory.

    Most logs leave most columns of REQUESTS empty, and an empty column of texts takes as much
    memory as one of short texts. Columns in several pieces would be copied at each use.
    """
    if path.stat().st_size < BY_COLUMN:
        return pl.read_parquet(path, columns=columns).rechunk()
    first, *names = columns
    table = pl.read_parquet(path, columns=[first]).rechunk()
    read: list[pl.Expr | pl.Series] = []
    for name in names:
        column = pl.read_parquet(path, columns=[name])[name]
        constant = _constant(column)
        read.append(column.rechunk() if constant is None else constant)
    return table.with_columns(read)


def column(table: pl.DataFrame, name: str) -> pl.Series:
    """Return a column of a large table; `table[name]` would lay one with one value out for good."""
    return table.select(name).to_series()


def lean(table: pl.DataFrame) -> pl.DataFrame:
    """Return a table whose columns with one value take no memory again.

    Polars lays such a column out, and keeps it so, when it is used as a series: see `column`.
    """
    columns = (column(table, name) for name in table.columns)
    return table.with_columns([found for one in columns if (found := _constant(one)) is not None])


def _constant(column: pl.Series) -> pl.Expr | None:
    """Return a column with one value as an expression; None if it has several."""
    if not _is_constant(column):
        return None
    one = pl.Series(column.name, column.head(1).to_list(), column.dtype)  # a slice holds it all
    return pl.lit(one).first()


def _is_constant(column: pl.Series) -> bool:
    if len(column) < 2:
        return False
    if column.null_count():
        return column.null_count() == len(column)
    if column.dtype.is_nested():
        return False
    return bool(column[0] == column[-1] and (column == column[0]).all())


def _owner(text: str) -> str:
    """Describe which process wrote a marker, and how long ago."""
    process, _, rest = text.strip().partition(" ")
    host, _, since = rest.rpartition(" ")
    if not since.isdecimal():
        return "another process"
    minutes = max(time.time() - int(since), 0) / 60
    return f"process {process} on {host}, for {minutes:.0f} minutes"


def write_table(frame: pl.DataFrame, path: Path, schema: pl.Schema) -> None:
    """Write a table whole or not at all, after checking it against its schema."""
    check_table(frame, schema, path.name)
    with atomic_write(path) as part:
        frame.write_parquet(part, compression="zstd")


@contextmanager
def atomic_write(path: Path, *, tidy: bool = True) -> Iterator[Path]:
    """Return a path beside `path` to write to; put it in place at the end, or leave nothing.

    What a killed process left of the same file is removed, unless `tidy` is False: that lists the
    folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if tidy:
        _remove_left(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    part = Path(name)
    try:
        locked(handle)  # says that this process is alive, until the handle is closed
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.chmod(0o644)
        part.replace(path)
    finally:
        os.close(handle)
        part.unlink(missing_ok=True)


def _remove_left(path: Path) -> None:
    """Remove unfinished versions of a file that no living process is writing."""
    for part in path.parent.glob(f".{escape(path.name)}.*.part"):
        with suppress(OSError), part.open("rb") as file:
            if locked(file.fileno()):
                part.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Raise UsageError where no file can be put at `path`; missing folders are no fault."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder.", hint="Name a file to write.")
    folder = next(one for one in path.absolute().parents if one.exists())
    if not folder.is_dir():
        raise UsageError(
            f"{folder} is a file, so {path} can't be written.", hint="Name another place."
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(
            f"{folder} can't be written to.", hint="Name another place, or change its permissions."
        )


T = TypeVar("T")


class JsonLines(Generic[T]):
    """Records of one dataclass. A process that is killed loses at most the one being written."""

    def __init__(self, path: Path, kind: type[T], noun: str) -> None:
        self.path = path
        self._kind, self._noun = kind, noun

    def load(self, wanted: Callable[[T], bool]) -> list[T]:
        """Read the records that are wanted; a last line that was cut off is dropped.

        Raises InputError with the number of a line that is no record.
        """
        if not self.path.is_file():
            return []
        lines = self.path.read_bytes().split(b"\n")
        found: list[T] = []
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                one = msgspec.json.decode(line, type=self._kind)
            except msgspec.DecodeError as error:
                if number == len(lines):
                    break
                raise InputError(
                    f"{self.path} line {number} is no {self._noun}: {error}.",
                    hint="Remove the line, or the file to begin anew.",
                ) from None
            if wanted(one):
                found.append(one)
        return found

    def append(self, one: T) -> None:
        """Write one record through to the disk, in place of a last line that was cut off."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab+") as file:
            if not _ends_a_line(file.fileno(), file.seek(0, os.SEEK_END)):
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
            file.write(msgspec.json.encode(asdict(one)) + b"\n")  # type: ignore[call-overload]
            file.flush()
            os.fsync(file.fileno())


def _ends_a_line(descriptor: int, size: int) -> bool:
    return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"
