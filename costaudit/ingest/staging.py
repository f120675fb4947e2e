"""What has been read so far, file by file, so that only what is new is read again."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from xxhash import xxh3_64_hexdigest

from costaudit.contracts.run_dir import atomic_write
from costaudit.ingest.layout import Kind
from costaudit.ingest.unit import Span

STAGING = "staging"
STATE = "file.json"


@dataclass(frozen=True)
class FileState:
    """A file as it was when it was last read."""

    name: str
    address: str
    size: int  # bytes on disk
    mtime_ns: int
    head: str  # digest of its first bytes
    head_bytes: int  # how many these are
    source: str
    evidence: str
    layout: Kind
    wrapped: bool  # its records stand within other objects
    is_stateless_lines: bool  # each line can be read by itself
    is_splittable: bool  # and any of its bytes can be reached at once
    options_key: str  # digest of the options that change what is read
    cuts: list[int] = field(default_factory=list)  # where units start, if it is splittable
    read_to: int = 0  # where the last complete line ends
    seam: str = ""  # digest of the last bytes before `read_to`


class FileStaging:
    """The pieces of one file."""

    def __init__(self, run: Path, name: str) -> None:
        self.folder = run / STAGING / xxh3_64_hexdigest(name.encode())

    def state(self) -> FileState | None:
        """Read the file's state; None where it has none that this version can read."""
        try:
            return msgspec.json.decode((self.folder / STATE).read_bytes(), type=FileState)
        except (OSError, msgspec.MsgspecError):
            return None

    def save(self, state: FileState) -> None:
        """Write the file's state."""
        with atomic_write(self.folder / STATE) as part:
            part.write_bytes(msgspec.json.encode(state))

    def spans(self) -> list[Span]:
        """List what has been committed, in order."""
        return [
            msgspec.json.decode(path.read_bytes(), type=Span)
            for path in sorted(self.folder.glob("span-*.json"))
        ]

    def drop(self) -> None:
        """Forget the file."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def drop_span(self, span: Span) -> None:
        """Forget a committed stretch: first the commit, then its pieces."""
        (self.folder / span.name).unlink(missing_ok=True)
        self.sweep()

    def sweep(self) -> None:
        """Remove pieces that no commit names, and unfinished files: a killed process left them."""
        named = {piece for span in self.spans() for piece in span.pieces}
        for path in self.folder.glob("piece-*"):
            if path.stem not in named:
                path.unlink(missing_ok=True)
        for path in self.folder.glob(".*.part"):
            path.unlink(missing_ok=True)


def stagings(run: Path) -> list[tuple[FileState, FileStaging]]:
    """List every file that was read into a run, by name."""
    found = []
    for folder in sorted((run / STAGING).glob("*/")):
        try:
            state = msgspec.json.decode((folder / STATE).read_bytes(), type=FileState)
        except (OSError, msgspec.MsgspecError):
            continue
        found.append((state, FileStaging(run, state.name)))
    return sorted(found, key=lambda each: each[0].name)
