"""Read almost-valid JSON: NaN, lone surrogates, broken UTF-8, Python dicts, wrong types."""

import ast
import codecs
import json
import re
from math import isfinite
from typing import Any, TypeVar

import msgspec

from costaudit.ingest.calls.call import Skip

T = TypeVar("T")
REPR_LIMIT = 1_000_000  # bytes of the longest Python literal that we parse
REPAIRS = 40  # wrongly typed fields that we drop from one record
MOST_NESTED = 900  # lists and objects in each other; Python 3.11 decodes few more
PADDING = b"\0\xef\xbb\xbf\x1e \t\r\n"  # around a record: zeros, byte order marks, separators
ODD_BYTES = "costaudit-odd-bytes"  # name of our handler for bytes that are not UTF-8
UNDEFINED = frozenset(b"\x81\x8d\x8f\x90\x9d")  # in Windows-1252
PATH = re.compile(r" - at `\$(.*)`$")
STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")


class UnreadableError(Exception):
    """Carry the Skip that says why a record can't be read."""

    def __init__(self, skip: Skip) -> None:
        super().__init__(skip.reason)
        self.skip = skip


def parse_lenient(data: bytes) -> Any:
    """Decode JSON or a Python literal; raise UnreadableError if it is neither."""
    try:
        value = msgspec.json.decode(data)
    except RecursionError:
        raise UnreadableError(_too_deep()) from None
    except (msgspec.DecodeError, UnicodeError):
        pass
    else:
        if data.count(b"[") + data.count(b"{") > MOST_NESTED and _is_deep(value):
            raise UnreadableError(_too_deep())  # Python 3.12 and later decode it
        return value
    text = decoded_text(data.strip(PADDING)).removesuffix(",")  # a line of a list
    try:
        return _mended(json.loads(text, strict=False, parse_constant=_no_number))
    except RecursionError:
        raise UnreadableError(_too_deep()) from None
    except json.JSONDecodeError as error:
        return _parse_repr(text, error)
    except ValueError:  # an integer of thousands of digits
        raise UnreadableError(Skip("bad-json", "A number in it is too long to be read.")) from None


def decoded_text(data: bytes) -> str:
    """Decode UTF-8; a byte that is not UTF-8 is read as Windows-1252, or else as Latin-1."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", ODD_BYTES)


def _odd_bytes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    odd = error.object[error.start : error.end]
    text = "".join(bytes((b,)).decode("cp1252" if b not in UNDEFINED else "latin-1") for b in odd)
    return text, error.end


codecs.register_error(ODD_BYTES, _odd_bytes)


def _no_number(text: str) -> str | None:
    """Return None for NaN, which data frames write for a missing value; an infinity as text."""
    return None if text == "NaN" else text


def _is_deep(value: Any) -> bool:
    """Return whether lists and objects nest more deeply than MOST_NESTED."""
    level = [value]
    for _ in range(MOST_NESTED):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _too_deep() -> Skip:
    return Skip("nested-too-deep", "It nests more deeply than any log record does.")


def _parse_repr(text: str, error: json.JSONDecodeError) -> Any:
    start = text.lstrip()[:2]
    if start in ("{'", "['") and len(text) <= REPR_LIMIT:
        try:
            return _mended(ast.literal_eval(text))
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            pass
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
        raise UnreadableError(Skip("truncated", "It ends before its JSON does."))
    raise UnreadableError(Skip("bad-json", f"It is not JSON: {error.msg} at byte {error.pos}."))


def _mended(value: Any, depth: int = 0) -> Any:
    """Replace lone surrogates and types that JSON does not have, at every level of a value."""
    if depth > 500:
        raise RecursionError
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_mended(str(k)): _mended(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_mended(item, depth + 1) for item in value]
    if isinstance(value, bool | int) or value is None:
        return value
    if isinstance(value, float) and isfinite(value):
        return value
    return None if value != value else str(value)


def decode_or_repair(
    data: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T], target: type[T]
) -> T:
    """Decode well-formed JSON at full speed, and repair other JSON as far as possible.

    Raise UnreadableError if nothing can be read.
    """
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return decode_repaired(parse_lenient(bytes(data)), target)[0]


def decode_repaired(value: Any, target: type[T]) -> tuple[T, list[str]]:
    """Convert a decoded value to a type; also return the names of the fields that were dropped.

    Raise UnreadableError if the whole value is of another kind.
    """
    dropped: list[str] = []
    for _ in range(REPAIRS):
        try:
            fitted = msgspec.json.decode(msgspec.json.encode(value), type=target, strict=False)
        except msgspec.ValidationError as error:
            path = PATH.search(str(error))
            if path is None or not _drop(value, path[1]):
                break
            dropped.append(path[1].lstrip("."))
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            break
        else:
            return fitted, dropped
    raise UnreadableError(
        Skip("wrong-shape", "Its fields are not of the types that its format has.")
    )


def _drop(value: Any, path: str) -> bool:
    steps: list[str | int] = []
    for name, index in STEP.findall(path):
        if index == "...":
            break
        steps.append(name or int(index))
    if not steps:
        return False
    for step in steps[:-1]:
        value = value[step]
    value[steps[-1]] = None if isinstance(value, dict) else {}
    return True
