"""The append-only journal of a replay, which keeps finished requests if the process is killed."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

import msgspec

from costaudit.contracts.requests import Result
from costaudit.errors import BackendError, InputError, UsageError

VERSION = 1


class Acknowledged(msgspec.Struct, frozen=True, gc=False):
    """One finished request."""

    index: int  # in the stream
    result: Result
    reason: str = ""
    matched_id: str | None = None
    similarity: float | None = None
    tokens: tuple[int, ...] = (0, 0, 0, 0, 0, 0)  # billed by this replay, or as logged
    lookup_ms: float | None = None  # None without a lookup
    latency_ms: float | None = None  # lookup and model; None where unknown
    lateness_ms: float = 0.0  # how late it was sent
    spent_usd: str = "0"  # what a live model charged, as a decimal
    answer: str | None = None  # a live model's answer, to refill the cache; None: the log has it
    served: str | None = None  # digest of a hit's text if the cache does not name the request


@dataclass(frozen=True)
class Header:
    """The replay to which a journal belongs; no other may continue it."""

    stream: str  # digest
    settings: str  # all that decides hits, in one line
    prefix: str  # of the keys in the cache
    version: int = VERSION


class Journal:
    """Appends finished requests as JSON lines, each written immediately.

    Entering the context reads an earlier run's journal; `begin` is the first write to the disk.
    """

    def __init__(self, path: Path | None, header: Header, *, restart: bool = False) -> None:
        self.header = header
        self.done: dict[int, Acknowledged] = {}
        self._path = path
        self._restart = restart  # ignore an existing journal of any replay
        self._whole = 0  # readable bytes of the file
        self._file: int | None = None
        self._encoder = msgspec.json.Encoder()

    def __enter__(self) -> "Journal":
        if self._path is not None and self._path.exists() and not self._restart:
            self._whole = self._read(self._path)
        return self

    def begin(self) -> None:
        """Open the file for appending, after the cache, so that an error there leaves no file."""
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            if self._path.is_file() and self._path.stat().st_size != self._whole:
                os.ftruncate(self._file, self._whole)  # drop an incomplete last line
        except OSError as error:
            raise self._unwritable(error) from None
        if not self._whole:
            self._append(self._encoder.encode(asdict(self.header)))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def acknowledge(self, done: Acknowledged) -> None:
        """Write a finished request."""
        self.done[done.index] = done
        if self._file is not None:
            self._append(self._encoder.encode(done))

    def _append(self, line: bytes) -> None:
        if self._file is None:
            return
        rest = memoryview(line + b"\n")
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> BackendError:
        return BackendError(
            f"The journal {self._path} can't be written: {error.strerror or error}.",
            hint="Free space on that disk, or write the run to another one with --out.",
        )

    def _read(self, path: Path) -> int:
        lines = path.read_bytes().split(b"\n")
        torn = lines.pop()
        if not lines:
            return 0
        try:
            header = msgspec.json.decode(lines[0], type=Header)
            records = [msgspec.json.decode(line, type=Acknowledged) for line in lines[1:]]
        except msgspec.DecodeError as error:
            raise InputError(
                f"{path} is not the journal of a replay: {error}.",
                hint="Name another file, or start again with --restart.",
            ) from None
        self._check(path, header)
        self.header = header
        self.done = {record.index: record for record in records}
        return path.stat().st_size - len(torn)

    def _check(self, path: Path, header: Header) -> None:
        mine = (self.header.version, self.header.stream, self.header.settings)
        if (header.version, header.stream, header.settings) != mine:
            raise UsageError(
                f"{path} is the journal of another replay: {header.settings}.",
                hint="Use the same log and options as before, or start again with --restart.",
            )
