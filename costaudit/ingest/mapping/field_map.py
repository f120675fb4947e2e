"""Read mappings: TOML or JSON files that say which path of a record holds which field."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any, get_args

import msgspec

from costaudit.contracts.requests import CALL_KINDS, UnitName
from costaudit.errors import InputError, UsageError
from costaudit.ingest.calls.call import CONVENTIONS
from costaudit.ingest.calls.fields import parsed

STEP = re.compile(r"[^.\[\]]+")
TEXTS = ("native_id", "provider", "model", "service_tier", "region", "kind", "endpoint", "tenant",
         "user", "conversation", "finish_reason", "error", "cost_unit", "session",
         "agent")  # fmt: skip
NUMBERS = ("temperature", "latency_ms", "ttft_ms")
CONTENT = ("tools", "system", "messages", "prompt", "answer")
TOKENS = ("input_tokens", "input_uncached_tokens", "output_tokens", "cache_read_tokens",
          "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_write_other_tokens",
          "reasoning_tokens", "total_tokens")  # fmt: skip
UNITS: tuple[UnitName, ...] = get_args(UnitName)
OTHERS = ("ts", "date", "time", "latency_s", "ttft_s", "cost", "currency", "status", "http_status",
          "attempt", "stream", "is_batch", "gateway_cache", "convention", "cache_write_ttl",
          "input_includes_cache")  # fmt: skip
EACH = "each"  # path of a list within a record, whose elements are the calls
FIELDS = frozenset((*TEXTS, *NUMBERS, *CONTENT, *TOKENS, *UNITS, *OTHERS, EACH))
NEEDED = frozenset(  # a typo in one costs every row
    (*CONTENT, *TOKENS[:3], "model", "ts", "date", EACH)
)
SHOWN = 40  # names that an error lists


class FieldMap(msgspec.Struct, frozen=True):
    """What one mapping says."""

    name: str  # file name of the mapping
    patterns: tuple[str, ...]  # of the log files it is for; () for every file it fits
    fields: dict[str, str]  # our field → path in the record, or =text
    columns: dict[str, str]  # column → how its numbers or dates are written

    @property
    def paths(self) -> dict[str, tuple[str, list[str]]]:
        """Return each mapped field with its path, whole and in steps; leave out constants."""
        return {
            field: (path, STEP.findall(path))
            for field, path in self.fields.items()
            if field != EACH and not path.startswith("=")
        }

    def within(self, record: Any) -> list[Any]:
        """Return the calls of a record: itself, or the elements of the list that `each` names."""
        each = self.fields.get(EACH)
        return elements(record, STEP.findall(each)) if each else [record]

    def is_for(self, name: str, address: str) -> bool:
        """Return whether one of its patterns matches a file."""
        path = PurePosixPath(address.replace("\\", "/"))
        return any(
            fnmatch(name, pattern)
            or fnmatch(path.name, pattern)
            or fnmatch(str(path), pattern if pattern.startswith("/") else f"*/{pattern}")
            for pattern in self.patterns
        )

    def missing(self, records: Iterable[object]) -> list[str]:
        """List the fields whose paths are in none of these records; `each` alone without a list."""
        each = self.fields.get(EACH)
        unseen = self.paths | ({EACH: (each, STEP.findall(each))} if each else {})
        for record in records:
            for call in (record, *self.within(record)):
                unseen = {name: path for name, path in unseen.items() if not has_path(call, *path)}
            if not unseen:
                break
        return [EACH] if EACH in unseen else list(unseen)


def read_maps(texts: Sequence[str]) -> tuple[FieldMap, ...]:
    """Read the values of --map, each `FILE` or `PATTERN=FILE`; raise InputError for a bad one."""
    return tuple(_read(text) for text in texts)


def _read(text: str) -> FieldMap:
    pattern, mark, name = text.rpartition("=")
    if not mark or Path(text).exists():
        return read_mapping(Path(text))
    found = read_mapping(Path(name))
    return msgspec.structs.replace(found, patterns=(pattern.strip(),))


def read_mapping(path: Path) -> FieldMap:
    """Read a mapping of canonical fields to paths; raise InputError if it is not valid."""
    try:
        text = path.read_text("utf-8-sig")
        table = msgspec.json.decode(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, UnicodeError, tomllib.TOMLDecodeError, msgspec.DecodeError) as error:
        raise InputError(
            f"The mapping {path} can't be read: {getattr(error, 'strerror', None) or error}.",
            hint="It is TOML or JSON: field = path.",
        ) from None
    if not isinstance(table, dict):
        raise _no_table(path)
    parts = {name for name in ("files", "columns") if isinstance(table.get(name), dict)}
    flat = {name: value for name, value in table.items() if name not in parts}
    fields = flat.get("fields", flat)
    if not isinstance(fields, dict) or not all(isinstance(p, str) for p in fields.values()):
        raise _no_table(path)
    unknown = sorted(set(fields) - FIELDS)
    if unknown:
        near = get_close_matches(unknown[0], sorted(FIELDS), n=1)
        raise InputError(
            f"The mapping {path} names fields that there are not: {', '.join(unknown)}.",
            hint=(f"Did you mean {near[0]}? " if near else "")
            + f"The fields are: {', '.join(sorted(FIELDS))}.",
        )
    for name, known in (("convention", CONVENTIONS), ("kind", CALL_KINDS)):
        if fields.get(name, "")[:1] == "=":
            _known(name, fields[name][1:], known, path)
    columns = _texts(table, "columns", path)
    return FieldMap(path.name, _patterns(table, path), fields, columns)


def _no_table(path: Path) -> InputError:
    return InputError(
        f"The mapping {path} is not a table of paths.",
        hint='Write lines such as model = "llm.model".',
    )


def _texts(table: dict[str, Any], name: str, path: Path) -> dict[str, str]:
    found = table.get(name, {})
    if not isinstance(found, dict):
        return {}
    if not all(isinstance(value, str) for value in found.values()):
        raise _no_table(path)
    return found


def _patterns(table: dict[str, Any], path: Path) -> tuple[str, ...]:
    files = table.get("files", {})
    told = files.get("match", ()) if isinstance(files, dict) else ()
    patterns = (told,) if isinstance(told, str) else tuple(told) if isinstance(told, list) else ()
    if (isinstance(files, dict) and files and not patterns) or not all(
        isinstance(one, str) for one in patterns
    ):
        raise InputError(
            f"The table [files] of the mapping {path} can't be read.",
            hint='Write match = ["exports/*.csv"].',
        )
    return patterns


def _known(name: str, value: str, known: Sequence[str], path: Path) -> None:
    if value not in known:
        raise InputError(
            f"The mapping {path} names the {name} {value!r}, which there is not.",
            hint=f"Choose from: {', '.join(known)}.",
        )


def check_fields(
    mapping: FieldMap, file: str, records: Sequence[object], *, is_table: bool
) -> InputError | None:
    """Return an error if a mapping names paths that the records of a file don't have.

    Each row of a table has the same columns, so every name must exist. Other records may lack
    fields, but not the fields that a call needs.
    """
    missing = mapping.missing(records)
    needed = [field for field in missing if is_table or field in NEEDED]
    if not needed or not (is_table or len(missing) == len(mapping.paths) or needed):
        return None
    paths = [mapping.fields[field] for field in needed]
    known = names_in(call for record in records for call in mapping.within(record))
    near = [match for path in paths for match in get_close_matches(path, known, n=1, cutoff=0.5)]
    what = "columns" if is_table else "fields"
    shown = ", ".join(known[:SHOWN]) + (", ..." if len(known) > SHOWN else "")
    return InputError(
        f"The mapping {mapping.name} names {what} that {file} does not have: {', '.join(paths)}.",
        hint=(f"Did you mean {', '.join(dict.fromkeys(near))}? " if near else "")
        + f"It has: {shown}.",
    )


def names_in(records: Iterable[object]) -> list[str]:
    """List the paths of all leaves of records, in order of appearance."""
    found: dict[str, None] = {}
    for record in records:
        _add_names(record, "", found, 0)
    return list(found)


def _add_names(value: object, path: str, found: dict[str, None], depth: int) -> None:
    if isinstance(value, dict) and value and depth < 6 and len(found) < 500:
        for key, inner in value.items():
            _add_names(inner, f"{path}.{key}" if path else str(key), found, depth + 1)
    elif path:
        found.setdefault(path)


def has_path(value: object, whole: str, steps: Sequence[str]) -> bool:
    """Return whether a record has a path, even if its value is empty."""
    if isinstance(value, dict) and whole in value:
        return True
    for step in steps:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return value is None
    return True


def elements(record: Any, steps: Sequence[str]) -> list[Any]:
    """Return the elements of the list at a path, each with the fields around the list as well.

    An element's own field precedes one of the same name around the list. A record without the
    list has no elements.
    """
    found = parsed(look_up(record, "", steps))
    if not isinstance(found, list):
        return []
    around = _without(record, steps)
    return [{**around, **each} if isinstance(each, dict) else each for each in found]


def _without(value: Any, steps: Sequence[str]) -> Any:
    if not isinstance(value, dict):
        return value
    rest = {key: inner for key, inner in value.items() if key != steps[0]}
    return {**rest, steps[0]: _without(value[steps[0]], steps[1:])} if steps[1:] else rest


def look_up(value: Any, whole: str, steps: Sequence[str]) -> Any:
    """Follow a path such as `a.b[0].c`; a key that equals the whole path is tried first."""
    if isinstance(value, dict) and whole in value:
        return value[whole]
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def chosen_map(
    maps: Sequence[FieldMap], name: str, address: str, sees: Mapping[str, Any]
) -> FieldMap | None:
    """Choose the mapping of a file; None if a built-in source reads the file.

    A mapping with a pattern is for the files that match it. A mapping without a pattern is for
    the only file, for files that no source knows, and for files with all of its fields. `sees`
    holds the first `records` of the file, `is_known` and `is_only`.
    """
    for mapping in maps:
        if mapping.patterns and mapping.is_for(name, address):
            return mapping
    bare = [mapping for mapping in maps if not mapping.patterns]
    if not bare:
        return None
    best = min(bare, key=lambda each: len(each.missing(sees["records"])))
    fits = not best.missing(sees["records"])
    return best if fits or sees["is_only"] or not sees["is_known"] else None


def check_used(maps: Sequence[FieldMap], used: Iterable[str]) -> None:
    """Raise UsageError for a mapping that no file used."""
    names = set(used)
    for mapping in maps:
        if mapping.name not in names:
            of_what = (
                f"match {', '.join(mapping.patterns)}" if mapping.patterns else "have its fields"
            )
            raise UsageError(
                f"The mapping {mapping.name} is for no file: none of the files {of_what}.",
                hint="Name files with --map 'PATTERN=FILE.toml', or [files] match in the mapping.",
            )
