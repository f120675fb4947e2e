"""Verdicts on disk: one line each, so that a run that was killed goes on where it stopped."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from costaudit.errors import InputError


@dataclass(frozen=True)
class StoredVerdict:
    """One verdict, or one reply that held none."""

    key: str  # of the pair, see JudgeItem
    judge: str
    right: bool | None  # None: the reply was malformed
    reason: str
    usd: str  # what the call cost, as a decimal


class VerdictStore:
    """An append-only JSONL file of verdicts."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self, judge: str) -> dict[str, StoredVerdict]:
        """Read one judge's verdicts by key; a last line that was cut off is dropped."""
        if not self.path.is_file():
            return {}
        lines = self.path.read_bytes().split(b"\n")
        found: dict[str, StoredVerdict] = {}
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                verdict = msgspec.json.decode(line, type=StoredVerdict)
            except msgspec.DecodeError as error:
                if number == len(lines):
                    break
                raise InputError(
                    f"{self.path} line {number} is no verdict: {error}.",
                    hint="Remove the line, or the file to judge anew.",
                ) from None
            if verdict.judge == judge:
                found[verdict.key] = verdict
        return found

    def append(self, verdict: StoredVerdict) -> None:
        """Write one verdict through to the disk, in place of a last line that was cut off."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab+") as file:
            if not _ends_a_line(file.fileno(), file.seek(0, os.SEEK_END)):
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
            file.write(msgspec.json.encode(asdict(verdict)) + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _ends_a_line(descriptor: int, size: int) -> bool:
    return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"
