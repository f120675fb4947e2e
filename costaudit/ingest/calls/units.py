"""Count billed units that only the answer shows, not its usage object: tools, grounding."""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw

from costaudit.contracts.requests import UnitName
from costaudit.ingest.calls.call import BilledUnit, Buffer
from costaudit.ingest.calls.fields import present

TOOLS: dict[str, UnitName] = {  # items of the Responses interface
    "web_search_call": "web_search",
    "file_search_call": "file_search",
    "code_interpreter_call": "code_session",
    "image_generation_call": "image_generation",
}


def tool_units(output: Buffer) -> tuple[BilledUnit, ...]:
    """Count the hosted tools that a response of the Responses interface called.

    A web search call is billed only if it searches; opening a page is free. A container is
    billed once, even if it is used several times.
    """
    if b"_call" not in bytes(output):
        return ()
    counts: dict[UnitName, int] = {}
    containers: set[str] = set()
    for item in _decoded(output):
        unit = TOOLS.get(str(item.get("type"))) if isinstance(item, dict) else None
        if unit is None:
            continue
        action = item.get("action")
        kind = action.get("type", "search") if isinstance(action, dict) else "search"
        if unit == "web_search" and kind != "search":
            continue
        if unit == "code_session":
            container = str(item.get("container_id", item.get("id")))
            if container in containers:
                continue
            containers.add(container)
        counts[unit] = counts.get(unit, 0) + 1
    return tuple(BilledUnit(unit, float(count)) for unit, count in counts.items())


def grounding_units(metadata: Iterable[Raw]) -> tuple[BilledUnit, ...]:
    """Count the queries by which Gemini grounded an answer."""
    queries = 0
    for each in metadata:
        value = _decoded(each) if present(each) else None
        found = value.get("webSearchQueries") if isinstance(value, dict) else None
        queries += len(found) if isinstance(found, list) else 0
    return (BilledUnit("grounding_query", float(queries)),) if queries else ()


def _decoded(data: Buffer) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return []
