"""Find which fields of a call depend on which paths of its record, by changing each path."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import msgspec

from costaudit.ingest.calls.call import Call, Kept, Record
from costaudit.ingest.calls.fields import parsed
from costaudit.ingest.calls.json_repair import UnreadableError
from costaudit.ingest.mapping.paths import ID_KEY, KeyPath

TRIED = 8  # records
LONGEST = 100_000  # bytes of the largest record that is tried
NAMES = {"ts_us": "time", "native_id": "id", "same_as": "", "updated_us": "", "logged_cost": "cost",
         "cost_unit": "", "join_key": ""}  # fmt: skip
WHOLE = "the call itself"


class Reader(Protocol):
    """What reads records: a log source."""

    def parse(self, record: Record) -> Iterable[Any]:
        """Read the next record."""

    def finish(self) -> Iterable[Any]:
        """Return the calls that were held back."""


def read_as(
    opened: Callable[[], Reader], values: Sequence[object], paths: Sequence[KeyPath]
) -> list[KeyPath]:
    """Return each path with the fields that change when the path changes.

    Each path is removed, and also given another value, as a missing count may be derived from
    other counts.
    """
    tried = [value for value in values if len(msgspec.json.encode(value)) < LONGEST][:TRIED]
    whole = _calls(opened(), tried)
    found = []
    for path in paths:
        steps = path.path.replace("[]", ".[]").split(".")
        names: dict[str, None] = {}
        for change in (_other, None):
            changed = [changed_at(value, steps, change) for value in tried]
            if changed != tried:
                names |= dict.fromkeys(_changes(whole, _calls(opened(), changed)))
        if len(names) > 1:
            names.pop(WHOLE, None)
        found.append(replace(path, read_as=tuple(names)))
    return found


def _calls(reader: Reader, values: Sequence[object]) -> list[Call]:
    outcomes: list[Any] = []
    for offset, value in enumerate(values):
        try:
            outcomes.extend(reader.parse(Record(offset, 0, msgspec.json.encode(value))))
        except (UnreadableError, msgspec.MsgspecError):
            continue
    outcomes.extend(reader.finish())
    return [outcome.call for outcome in outcomes if isinstance(outcome, Kept)]


def _changes(before: Sequence[Call], after: Sequence[Call]) -> tuple[str, ...]:
    if len(before) != len(after):
        return (WHOLE,)
    names: dict[str, None] = {}
    for one, other in zip(before, after, strict=True):
        first, second = _flat(one), _flat(other)
        for name in first:
            if first[name] != second.get(name) and (said := NAMES.get(name, name)):
                names.setdefault(said.replace("_", " "))
    return tuple(names)


def _flat(call: Call) -> dict[str, object]:
    """Return the fields of a call, including the fields of its usage."""
    fields: dict[str, object] = {}
    for name in call.__struct_fields__:
        value = getattr(call, name)
        if name == "usage" and value is not None:
            fields |= {
                inner: getattr(value, inner)
                for inner in value.__struct_fields__
                if inner not in ("convention", "source")
            }
        elif name == "answer":
            fields[name] = bytes(value)
        elif name == "prompt" and value is not None:
            parts = (*value.messages, value.tools, value.system)
            fields[name] = ([bytes(part) for part in parts], value.hashes)
        elif name not in ("usage", "source", "half"):
            fields[name] = value
    return fields


def _other(value: Any) -> Any:
    """Return another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return f"{value}1" if isinstance(value, str) else value


Change = Callable[[Any], Any] | None


def changed_at(value: Any, steps: Sequence[str], change: Change) -> Any:
    """Return a copy of a record with one path changed, or removed if `change` is None.

    JSON inside texts is decoded and changed too.
    """
    inner = parsed(value)
    if not steps:
        return value if change is None else change(value)
    if steps[0] == "[]" and isinstance(inner, list):
        rest = steps[1:]
        changed: Any = [changed_at(one, rest, change) for one in inner] if rest or change else []
    elif isinstance(inner, dict):
        changed = _changed_key(inner, steps, change)
    else:
        return value
    return msgspec.json.encode(changed).decode() if isinstance(value, str) else changed


def _changed_key(value: dict[str, Any], steps: Sequence[str], change: Change) -> dict[str, Any]:
    """Change a path whose keys may contain dots."""
    for size in range(1, len(steps) + 1):
        name, rest = ".".join(steps[:size]).replace(".[]", "[]"), steps[size:]
        keys = [key for key in value if key == name or (name == "{key}" and ID_KEY.fullmatch(key))]
        if keys:
            return {
                key: changed_at(one, rest, change) if key in keys else one
                for key, one in value.items()
                if key not in keys or rest or change
            }
    return value
