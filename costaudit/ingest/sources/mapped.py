"""Any other format, through a file that says which path holds which field."""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, cast

import msgspec

from costaudit.errors import InputError, UsageError
from costaudit.ingest.calls.call import (
    CONVENTIONS,
    Buffer,
    Call,
    Convention,
    Kept,
    Prompt,
    Record,
    Skip,
    Usage,
)
from costaudit.ingest.calls.fields import parse_time
from costaudit.ingest.calls.json_repair import parse_lenient
from costaudit.ingest.calls.names import is_hit, provider_named, provider_of_model
from costaudit.ingest.calls.usage import decimal_of, plausible
from costaudit.ingest.sources.source import Outcome

STEP = re.compile(r"[^.\[\]]+")
TEXTS = ("native_id", "provider", "model", "service_tier", "region", "kind", "endpoint", "tenant",
         "user", "conversation", "finish_reason", "error", "cost_unit")  # fmt: skip
NUMBERS = ("temperature", "latency_ms", "ttft_ms")
CONTENT = ("tools", "system", "messages", "prompt", "answer")
TOKENS = ("input_tokens", "input_uncached_tokens", "output_tokens", "cache_read_tokens",
          "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_write_other_tokens",
          "reasoning_tokens", "total_tokens")  # fmt: skip
OTHERS = ("ts", "latency_s", "ttft_s", "cost", "status", "http_status", "attempt", "stream",
          "is_batch", "gateway_cache", "convention")  # fmt: skip
FIELDS = frozenset((*TEXTS, *NUMBERS, *CONTENT, *TOKENS, *OTHERS))
EXPECTED = Skip("not-a-call", "None of the mapped fields that make a call is in it.")
NO_CONVENTION = Skip(
    "unknown-convention", f"Its counting convention is none of: {', '.join(CONVENTIONS)}."
)
FAILED = ("error", "failed", "failure", "false", "timeout", "cancelled")


class Mapped:
    """Read the fields that a mapping names; `=text` in it stands for the text itself."""

    name: ClassVar[str] = "mapped"
    needs_whole_file: ClassVar[bool] = False

    def __init__(self, address: str = "", paths: dict[str, str] | None = None) -> None:
        paths = paths or {}
        self._constants = {k: p[1:] for k, p in paths.items() if p.startswith("=")}
        self._steps = {k: (p, STEP.findall(p)) for k, p in paths.items() if not p.startswith("=")}

    @classmethod
    def from_file(cls, path: Path | None) -> "Mapped":
        """Read a TOML or JSON mapping; raises UsageError or InputError."""
        return cls(paths=read_mapping(path))

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
        if not any(found.get(name) is not None for name in (*CONTENT, *TOKENS, "model")):
            return [(key, EXPECTED)]
        found = {**self._constants, **found}
        if (found.get("convention") or CONVENTIONS[0]) not in CONVENTIONS:
            return [(key, NO_CONVENTION)]
        return [Kept(key, _call(found))]

    def finish(self) -> Iterable[Outcome]:
        """See Source."""
        return ()


def read_mapping(path: Path | None) -> dict[str, str]:
    """Read a mapping of canonical fields to paths; raises UsageError or InputError."""
    if path is None:
        raise UsageError(
            "The source `mapped` needs a mapping.", hint="Give one with --map FILE.toml."
        )
    try:
        text = path.read_text("utf-8")
        table = msgspec.json.decode(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, UnicodeError, tomllib.TOMLDecodeError, msgspec.DecodeError) as error:
        raise InputError(
            f"The mapping {path} can't be read: {error}.", hint="It is TOML or JSON: field = path."
        ) from None
    paths = table.get("fields", table) if isinstance(table, dict) else None
    if not isinstance(paths, dict) or not all(isinstance(p, str) for p in paths.values()):
        raise InputError(
            f"The mapping {path} is not a table of paths.",
            hint='Write lines such as model = "llm.model".',
        )
    unknown = sorted(set(paths) - FIELDS)
    if unknown:
        raise InputError(
            f"The mapping {path} names fields that there are not: {', '.join(unknown)}.",
            hint=f"The fields are: {', '.join(sorted(FIELDS))}.",
        )
    if paths.get("convention", "")[:1] == "=":
        _known(paths["convention"][1:], path)
    return paths


def _known(convention: str, path: Path) -> None:
    if convention not in CONVENTIONS:
        raise InputError(
            f"The mapping {path} names the convention {convention!r}, which there is not.",
            hint=f"The conventions are: {', '.join(CONVENTIONS)}.",
        )


def look_up(value: Any, whole: str, steps: list[str]) -> Any:
    """Follow a path such as `a.b[0].c`; a key that is spelled like the path comes first."""
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


def _call(found: dict[str, Any]) -> Call:
    call = Call(
        prompt=_prompt(found),
        answer=_json(found.get("answer")),
        usage=_usage(found),
        ts_us=parse_time(found.get("ts")),
        stream=_truth(found.get("stream")),
        is_batch=bool(_truth(found.get("is_batch"))),
        http_status=_integer(found.get("http_status")),
        attempt=_integer(found.get("attempt")),
    )
    for name in TEXTS:
        value = found.get(name)
        if value is not None and value != "":
            setattr(call, name, str(value))
    for name in NUMBERS:
        setattr(call, name, _number(found.get(name)))
    for name in ("latency", "ttft"):
        seconds = _number(found.get(f"{name}_s"))
        if seconds is not None:
            setattr(call, f"{name}_ms", seconds * 1_000)
    guess = provider_of_model(call.model) if call.model else None
    call.provider = provider_named(call.provider) if call.provider else guess
    if found.get("cost") is not None:
        call.logged_cost = decimal_of(str(found["cost"]))
        call.cost_unit = call.cost_unit or "usd"
    _add_status(call, found)
    return call


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
    counts = {name: _integer(found.get(name)) for name in TOKENS}
    exclusive = counts["input_uncached_tokens"]
    convention: Convention = "openai" if exclusive is None else "anthropic"
    if found.get("convention"):
        convention = cast(Convention, found["convention"])  # `parse` refuses others
    usage = Usage(
        convention,
        input=counts["input_tokens"] if exclusive is None else exclusive,
        output=counts["output_tokens"],
        cache_read=counts["cache_read_tokens"] if "cache_read_tokens" in found else None,
        cache_write_5m=counts["cache_write_5m_tokens"] or 0,
        cache_write_1h=counts["cache_write_1h_tokens"] or 0,
        cache_write_other=counts["cache_write_other_tokens"] or 0,
        reasoning=counts["reasoning_tokens"] or 0,
        total=counts["total_tokens"],
    )
    return plausible(usage)


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
    return str(value).lower() in ("true", "1", "yes")
