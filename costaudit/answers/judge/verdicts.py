"""Store a model's verdicts, and read those of a person who fills in a form."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from costaudit.answers.judge.judge import JudgeItem
from costaudit.contracts.run_dir import JsonLines, atomic_write
from costaudit.errors import InputError


@dataclass(frozen=True)
class StoredVerdict:
    """One verdict, or one reply without a verdict."""

    key: str  # key of the pair (see JudgeItem)
    judge: str
    right: bool | None  # None: the reply was malformed
    reason: str
    usd: str  # cost of the call, as a decimal


class VerdictStore:
    """An append-only file of verdicts."""

    def __init__(self, path: Path) -> None:
        self._lines = JsonLines(path, StoredVerdict, "verdict")

    def load(self, judge: str) -> dict[str, StoredVerdict]:
        """Return one judge's verdicts by key."""
        return {one.key: one for one in self._lines.load(lambda one: one.judge == judge)}

    def append(self, verdict: StoredVerdict) -> None:
        """Store one verdict."""
        self._lines.append(verdict)


COLUMNS = (
    "key",
    "question",
    "logged_answer",
    "cached_question",
    "cached_answer",
    "verdict",
    "note",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # first characters that start a spreadsheet formula


def write_form(items: Sequence[JudgeItem], path: Path) -> None:
    """Write the pairs to judge with empty verdicts, as JSONL if the suffix is .jsonl, else as CSV.

    Raise InputError if the file exists, because it may contain verdicts.
    """
    if path.exists():
        raise InputError(f"{path} exists already.", hint="Fill it in, or name a new file.")
    rows = [
        (i.key, i.question, i.logged_answer, i.cached_question, i.cached_answer, "", "")
        for i in items
    ]
    with atomic_write(path) as part:
        if path.suffix == ".jsonl":
            lines = (msgspec.json.encode(dict(zip(COLUMNS, row, strict=True))) for row in rows)
            part.write_bytes(b"".join(line + b"\n" for line in lines))
            return
        with part.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows([_harmless(cell) for cell in row] for row in rows)


def read_form(path: Path) -> list[StoredVerdict]:
    """Return the filled-in verdicts; raise InputError, with the line number, if one is invalid."""
    if not path.is_file():
        raise InputError(
            f"There is no file {path}.", hint="Write the form first, by judging without it."
        )
    found = []
    for line, row in _rows(path):
        text = str(row.get("verdict") or "").strip().lower()
        if not text:
            continue
        if text not in ("right", "wrong"):
            raise InputError(
                f"{path} line {line} has the verdict {text!r}.", hint="Write right or wrong."
            )
        key = str(row.get("key") or "")
        if not key:
            raise InputError(f"{path} line {line} has no key.", hint="Keep the column key.")
        note = str(row.get("note") or "")
        found.append(StoredVerdict(key, f"human:{path.name}", text == "right", note, "0"))
    return found


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        if path.suffix == ".jsonl":
            for line, text in enumerate(path.read_bytes().splitlines(), 1):
                if text.strip():
                    yield line, msgspec.json.decode(text, type=dict[str, Any])
            return
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            for row in reader:
                yield reader.line_num, row
    except (msgspec.DecodeError, csv.Error, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} can't be read: {error}.", hint="Use the form that costaudit wrote."
        ) from None


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
