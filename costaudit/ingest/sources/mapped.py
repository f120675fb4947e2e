"""Any other format, read through a mapping that says which path holds which field."""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, cast

import msgspec

from costaudit.contracts.requests import CALL_KINDS, UnitName
from costaudit.ingest.calls.call import (
    CONVENTIONS,
    BilledUnit,
    Buffer,
    Call,
    Convention,
    Kept,
    Prompt,
    Record,
    Skip,
    Usage,
)
from costaudit.ingest.calls.fields import count_of, parse_time
from costaudit.ingest.calls.json_repair import parse_lenient
from costaudit.ingest.calls.money import log_cost
from costaudit.ingest.calls.names import is_hit, provider_of_model
from costaudit.ingest.calls.usage import plausible, unit_of, unread_columns
from costaudit.ingest.mapping.cells import NOTHING, date_text
from costaudit.ingest.mapping.field_map import (
    CONTENT,
    NUMBERS,
    TEXTS,
    TOKENS,
    UNITS,
    FieldMap,
    look_up,
)
from costaudit.ingest.sources.source import Outcome
from costaudit.providers.names import provider_named

EXPECTED = Skip("not-a-call", "None of the mapped fields that make a call is in it.")
NO_CONVENTION = Skip(
    "unknown-convention", f"Its counting convention is none of: {', '.join(CONVENTIONS)}."
)
YES = ("true", "1", "1.0", "yes", "y", "t", "on", "si", "s\u00ed", "ja", "oui", "sim", "wahr",
       "vrai", "verdadero", "x")  # fmt: skip
NO = (
    "false",
    "0",
    "0.0",
    "no",
    "n",
    "f",
    "off",
    "nein",
    "non",
    "n\u00e3o",
    "falsch",
    "faux",
    "falso",
)
FAILED = ("error", "failed", "failure", "false", "timeout", "cancelled")


class Mapped:
    """Read the fields that a mapping names; `=text` in the mapping is a constant."""

    name: ClassVar[str] = "mapped"
    needs_whole_file: ClassVar[bool] = False

    def __init__(self, address: str = "", mapping: FieldMap | None = None) -> None:
        fields = mapping.fields if mapping is not None else {}
        self._constants = {k: p[1:] for k, p in fields.items() if p.startswith("=")}
        self._steps = mapping.paths if mapping is not None else {}
        self._read: dict[tuple[str, ...], list[str]] = {}  # object with counts → its mapped names
        for name in (*TOKENS, *UNITS):
            if name in self._steps:
                self._read.setdefault(tuple(self._steps[name][1][:-1]), [])
        for whole, steps in self._steps.values():
            if (names := self._read.get(tuple(steps[:-1]))) is not None:
                names += [whole, steps[-1]]

    def detect(self, record: dict[str, Any]) -> str:
        """See Source; a mapping is chosen, never detected."""
        return ""

    def parse(self, record: Record) -> Iterable[Outcome]:
        """See Source."""
        value = parse_lenient(bytes(record.data))
        key = (record.offset, record.index)
        if not isinstance(value, dict):
            return [(key, EXPECTED)]
        found = {name: look_up(value, whole, steps) for name, (whole, steps) in self._steps.items()}
        if not any(found.get(name) is not None for name in (*CONTENT, *TOKENS, *UNITS, "model")):
            return [(key, EXPECTED)]
        found = {**self._constants, **found}
        if (found.get("convention") or CONVENTIONS[0]) not in CONVENTIONS:
            return [(key, NO_CONVENTION)]
        call = _call(found)
        call.unread = tuple(self._unread(value))
        return [Kept(key, call)]

    def _unread(self, record: dict[str, Any]) -> Iterator[tuple[str, float]]:
        """Yield the numbers beside mapped counts that the mapping does not name."""
        for steps, names in self._read.items():
            holder = look_up(record, "", steps) if steps else record
            if isinstance(holder, dict):
                yield from unread_columns(holder, *names)

    def finish(self) -> Iterable[Outcome]:
        """See Source."""
        return ()


def _call(found: dict[str, Any]) -> Call:
    call = Call(
        prompt=_prompt(found),
        answer=_json(found.get("answer")),
        usage=_usage(found),
        ts_us=_moment(found),
        stream=_truth(found.get("stream")),
        is_batch=bool(_truth(found.get("is_batch"))),
        http_status=_integer(found.get("http_status")),
        attempt=_integer(found.get("attempt")),
    )
    for name in TEXTS:
        value = found.get(name)
        if value is not None and value != "":
            setattr(call, name, str(value))
    if call.kind not in CALL_KINDS:
        call.kind = "other"
    for name in NUMBERS:
        setattr(call, name, _number(found.get(name)))
    for name in ("latency", "ttft"):
        seconds = _number(found.get(f"{name}_s"))
        if seconds is not None:
            setattr(call, f"{name}_ms", seconds * 1_000)
    guess = provider_of_model(call.model) if call.model else None
    call.provider = provider_named(call.provider) if call.provider else guess
    call.units = tuple(each for unit in UNITS if (each := _unit(unit, found.get(unit))))
    _add_cost(call, found)
    _add_status(call, found)
    return call


def _unit(unit: UnitName, value: Any) -> BilledUnit | None:
    """Return the billed units: None if there are none, no quantity if it can't be read."""
    number = _number(value)
    if number is None:
        return unit_of(unit, value)
    return BilledUnit(unit, number) if number > 0 else BilledUnit(unit, None) if number else None


def _moment(found: dict[str, Any]) -> int | None:
    """Return the time in microseconds, from one column or from separate date and time columns."""
    if found.get("ts") is not None or not found.get("date"):
        return parse_time(found.get("ts"))
    day, clock = str(found["date"]), str(found.get("time") or "").strip()
    read = date_text(f"{day[:10]} {clock}", "day first") if clock else None
    return parse_time(read or day)


def _add_cost(call: Call, found: dict[str, Any]) -> None:
    """Add the cost; its cell may include the currency: `EUR 0.0033`."""
    stated = {name: str(found[name]) for name in ("currency", "cost_unit") if found.get(name)}
    log_cost(call, found.get("cost"), stated)


def _add_status(call: Call, found: dict[str, Any]) -> None:
    failed = str(found.get("status", "")).lower() in FAILED or (call.http_status or 0) >= 400
    if failed or call.error:
        call.status = "error"
        call.error = "error" if call.error is None or " " in call.error else call.error
    cached = found.get("gateway_cache")
    if is_hit(cached):
        call.served_by = "gateway_cache"


def _prompt(found: dict[str, Any]) -> Prompt | None:
    messages = _listed(found.get("messages"))
    if not messages:
        messages = _listed(found.get("prompt"))
    system, tools = _json(found.get("system")), _json(found.get("tools"))
    if not messages and not system and not tools:
        return None
    return Prompt(tools, system, messages)


def _listed(value: Any) -> list[bytes]:
    if isinstance(value, str) and value[:1] == "[":
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return [msgspec.json.encode(value)]
    if value is None or value == "":
        return []
    each = value if isinstance(value, list) else [value]
    return [msgspec.json.encode(item) for item in each]


def _json(value: Any) -> Buffer:
    return b"" if value is None or value == "" else msgspec.json.encode(value)


def _usage(found: dict[str, Any]) -> Usage | None:
    counts = {name: count_of(found.get(name)) for name in TOKENS}
    if any(counts[name] is None and _is_there(found.get(name)) for name in TOKENS[3:]):
        return None  # a token count that can't be read is unknown, not 0
    exclusive = counts["input_uncached_tokens"]
    usage = Usage(
        _convention(found, exclusive is not None),
        input=counts["input_tokens"] if exclusive is None else exclusive,
        output=counts["output_tokens"],
        cache_read=counts["cache_read_tokens"] if "cache_read_tokens" in found else None,
        cache_write_5m=counts["cache_write_5m_tokens"] or 0,
        cache_write_1h=counts["cache_write_1h_tokens"] or 0,
        cache_write_other=counts["cache_write_other_tokens"] or 0,
        reasoning=counts["reasoning_tokens"] or 0,
        total=counts["total_tokens"],
    )
    lifetime = str(found.get("cache_write_ttl") or "").strip().lower()
    if lifetime in ("5m", "1h"):
        written, usage.cache_write_other = usage.cache_write_other, 0
        usage.cache_write_5m += written if lifetime == "5m" else 0
        usage.cache_write_1h += written if lifetime == "1h" else 0
    elif lifetime:
        usage.other_ttl = lifetime
    return plausible(usage)


def _convention(found: dict[str, Any], is_exclusive: bool) -> Convention:
    """Return the convention that the mapping states, for all rows or for this row."""
    if found.get("convention"):
        return cast(Convention, found["convention"])  # `parse` rejects unknown ones
    includes = _truth(found.get("input_includes_cache"))
    if is_exclusive or includes is False:
        return "exclusive as stated"
    return "inclusive as stated" if includes else "inclusive"


def _is_there(value: Any) -> bool:
    return value is not None and str(value).strip().lower() not in NOTHING


def _integer(value: Any) -> int | None:
    number = _number(value)
    return None if number is None or not number.is_integer() else int(number)


def _number(value: Any) -> float | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if abs(number) < 1e15 else None


def _truth(value: Any) -> bool | None:
    if value is None or value == "":
        return None
    word = str(value).strip().lower()
    if word in YES:
        return True
    return False if word in NO else None
