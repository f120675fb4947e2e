"""Hostile and broken variants of records, seeded and built from a record's structure."""

import contextlib
import csv
import io
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMATS = Path(__file__).parents[2] / "sample_logs" / "formats"
SAMPLES = sorted(p for p in FORMATS.iterdir() if p.suffix in (".json", ".jsonl", ".csv", ".sse"))


@dataclass(frozen=True)
class Text:
    """A text that is inserted into JSON verbatim, whether or not it is valid JSON."""

    text: str


DEEP = Text("[" * 10_000 + "]" * 10_000)
UNREADABLE: tuple[Any, ...] = (  # replacements for a count; none of them is a number of tokens
    None, True, [2000], {}, [], {"value": {}}, "about two thousand", "", 2000.5, -5e9, -1,
    Text("NaN"), Text("Infinity"), Text("-Infinity"), Text("1e400"), Text("9" * 5000), 10**30, DEEP,
)  # fmt: skip
ODD: tuple[Any, ...] = (
    *UNREADABLE, "2,000", 1.5, "x", "12", "\ud800", [[]], [None], {"type": 3}, ["text"],
    {"role": 1}, {"content": {"text": []}}, "{", '{"a": [1', False, [None, 3, "junk", {}, []],
)  # fmt: skip


def encoded(value: Any, chance: random.Random | None = None) -> str:
    """Encode a value as JSON; with `chance`, some keys are written twice."""
    if isinstance(value, Text):
        return value.text
    if isinstance(value, dict):
        parts = [f"{json.dumps(key)}:{encoded(each, chance)}" for key, each in value.items()]
        if parts and chance is not None and chance.random() < 0.02:
            parts.append(chance.choice(parts))
        return "{" + ",".join(parts) + "}"
    if isinstance(value, list):
        return "[" + ",".join(encoded(each, chance) for each in value) + "]"
    return json.dumps(value)


def mutated(value: Any, chance: random.Random, rate: float = 0.05) -> Any:
    """Return a value with parts replaced by odd ones, keys dropped and junk added to lists."""
    if chance.random() < rate:
        return _odd(value, chance)
    if isinstance(value, dict):
        return {k: mutated(v, chance, rate) for k, v in value.items() if chance.random() > rate / 2}
    if isinstance(value, list):
        items = [mutated(item, chance, rate) for item in value]
        if chance.random() < rate:
            items.insert(chance.randrange(len(items) + 1), chance.choice((None, 3, "junk", [], {})))
        return items
    return value


def _odd(value: Any, chance: random.Random) -> Any:
    """Return a replacement for a value: often the value as a string or wrapped in a list."""
    kind = chance.randrange(8)
    if kind == 0 and isinstance(value, dict | list):
        return json.dumps(value)
    if kind == 1:
        return [value]
    if kind == 2 and isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return chance.choice(ODD)


WRONG: tuple[Any, ...] = (  # replacements for any value
    7, "x", None, {}, ["junk", None, 3, [], {}], True, Text("1e400"), Text("-5e9"), [[]], DEEP,
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of everything within a value."""
    inner: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    for key, each in inner:
        yield (*path, key)
        yield from places(each, (*path, key))


def each_place_wrong(records: Sequence[Any], kinds: int, first: int) -> Iterator[Any]:
    """Yield records with one place replaced, `kinds` times each: by WRONG, a string or a list."""
    for record in records:
        for number, path in enumerate(places(record), first):
            wrong = [*WRONG, json.dumps(at(record, path)), [at(record, path)]]
            for turn in range(kinds):
                yield replaced(record, path, wrong[(number * kinds + turn) % len(wrong)])


def damaged_line(line: bytes, chance: random.Random) -> bytes:
    """Return a line with damaged bytes; it stays one line."""
    at = chance.randrange(len(line) + 1)
    kind = chance.randrange(10)
    if kind == 0:
        return line[:at] or b"{"
    if kind == 1:
        return b"\xef\xbb\xbf" + line
    if kind == 2:
        return line + b"\r"
    if kind == 3:
        return line[:at] + b"\xe9\xf1" + line[at:]
    if kind == 4:
        return line[:at] + b"\0" * chance.choice((1, 7)) + line[at:]
    if kind == 5:
        return json.dumps(line.decode("utf-8", "replace")).encode()
    if kind == 6:
        return line[at:] or b"}"
    if kind == 7:
        return line + line
    if kind == 8:
        return line[:at] + chance.choice((b'"', b"{", b"}", b"[", b"\\", b",")) + line[at:]
    return b"[" + line + b"]"


def records_of(sample: Path) -> list[Any]:
    """Return a sample's records: decoded lines, array elements, or the single wrapping value."""
    text = sample.read_text("utf-8").replace("data: [DONE]", "").replace("data: ", "")
    if sample.suffix == ".csv":
        separator = ";" if text.partition("\n")[0].count(";") > 2 else ","
        return list(csv.DictReader(io.StringIO(text), delimiter=separator))
    if sample.suffix == ".json":
        value = json.loads(text.replace(",\n]", "]"))
        return value if isinstance(value, list) else [value]
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def lines_of(sample: Path, chance: random.Random, count: int, kinds: int = 3) -> Iterator[bytes]:
    """Yield a sample's lines, then variants of them: `kinds` for each place and `count` more.

    The `kinds` variants change one place; the `count` variants change several places or bytes.
    """
    if sample.suffix == ".csv":
        yield from _rows_of(sample, chance, count)
        return
    start = b"data: " if sample.suffix == ".sse" else b""
    records = records_of(sample)
    for record in records:
        yield start + json.dumps(record, ensure_ascii=False).encode()
    for changed in each_place_wrong(records, kinds, chance.randrange(len(WRONG))):
        yield start + encoded(changed).encode()
    for number in range(count):
        record = records[number % len(records)]
        changed = mutated(record, chance) if chance.random() < 0.7 else record
        line = encoded(changed, chance).encode("utf-8", "surrogatepass")
        if changed is record or chance.random() < 0.1:
            line = damaged_line(line, chance)
        yield start + line.replace(b"\n", b" ")


CELLS = (
    "", "2,000", "2.000", "2000.5", "-5e9", "1e400", "NaN", "inf", "9" * 400, "[2000]", "{}",
    "true", "null", "n/a", "\u00e9\u00f1", "=1+1", "\u2212 3", "12 345,67 \u20ac", "31/02/2026",
)  # fmt: skip


def _rows_of(sample: Path, chance: random.Random, count: int) -> Iterator[bytes]:
    """Yield a table's header and rows, then variants with odd cells, each on one line."""
    head, *_ = sample.read_text("utf-8").splitlines()
    separator = ";" if head.count(";") > 2 else ","
    rows = [[cell.replace("\n", " ") for cell in record.values()] for record in records_of(sample)]
    changed = []
    for number in range(count):
        row = rows[number % len(rows)]
        row = [chance.choice(CELLS) if chance.random() < 0.1 else cell for cell in row]
        if chance.random() < 0.1:
            row = row[: chance.randrange(1, len(row) + 1)]
        elif chance.random() < 0.1:
            row = [*row, "more"]
        changed.append(row if any(row) else ["x", *row[1:]])
    yield head.encode()
    for row in (*rows, *changed):
        text = io.StringIO()
        csv.writer(text, delimiter=separator, lineterminator="").writerow(row)
        line = text.getvalue().encode()
        yield line.replace(b"\0", b"") if chance.random() < 0.95 else line + b"\r"


def places_of(content: bytes, *, is_sse: bool = False) -> list[int]:
    """Return the offsets of the records in lines, found independently of the reader under test."""
    places, at = [], 0
    for line in content.split(b"\n"):
        text = line.lstrip(b"\0\xef\xbb\xbf \t\r")
        if text and (not is_sse or text.startswith(b"data:")):
            places.append(at + len(line) - len(text))
        at += len(line) + 1
    return places


AS_JSON = "(JSON)"  # a path step that leads into a JSON string


def number_leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each number in a value, including digit strings and JSON strings."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from number_leaves(each, (*path, key))
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from number_leaves(each, (*path, place))
    elif isinstance(value, str) and value[:1] in ("{", "["):
        with contextlib.suppress(json.JSONDecodeError):
            yield from number_leaves(json.loads(value), (*path, AS_JSON))
    elif _is_number(value):
        yield path


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value.isdecimal() and len(value) < 9
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**9


def at(value: Any, path: Sequence[Any]) -> Any:
    """Return the value at a path."""
    for step in path:
        value = json.loads(value) if step == AS_JSON else value[step]
    return value


def replaced(value: Any, path: Sequence[Any], new: Any) -> Any:
    """Return a copy of a value with the item at a path replaced."""
    if not path:
        return new
    if path[0] == AS_JSON:
        return encoded(replaced(json.loads(value), path[1:], new))
    copied = list(value) if isinstance(value, list) else dict(value)
    copied[path[0]] = replaced(value[path[0]], path[1:], new)
    return copied
