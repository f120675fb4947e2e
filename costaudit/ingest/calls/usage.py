"""Read usage objects of every dialect as one type, in the convention that each claims."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

from msgspec import Raw

from costaudit.contracts.requests import UnitName
from costaudit.ingest.calls.bodies import CacheCreation
from costaudit.ingest.calls.call import CLAIMS, BilledUnit, Convention, Usage
from costaudit.ingest.calls.fields import (
    MOST_TOKENS,
    UNREADABLE,
    count_of,
    parsed,
    present,
    stated_count,
)
from costaudit.ingest.calls.json_repair import UnreadableError, parse_lenient
from costaudit.ingest.calls.money import currency_beside, decimal_of, unit_of_cost
from costaudit.ingest.calls.usage_names import (
    Meaning,
    Part,
    is_telling,
    meaning_of,
    meanings_within,
)

DEEPEST = 5  # levels of a usage object
TICKS = Decimal(10) ** 10  # xAI's ticks per dollar
UNITS: tuple[UnitName, ...] = (
    "web_search",
    "file_search",
    "code_session",
    "audio_second",
    "search_unit",
    "audio_input_token",
    "audio_output_token",
    "audio_cached_token",
    "image_input_token",
    "image_output_token",
    "video_input_token",
)


@dataclass
class Reading:
    """What a usage object says."""

    usage: Usage | None = None
    units: list[BilledUnit] = field(default_factory=list)
    cost: str | None = None
    cost_unit: str = "usd"
    unread: list[tuple[str, float]] = field(default_factory=list)  # unknown names, with numbers


def read_usage(
    values: Mapping[str, Any], claim: Convention, *, trust_total: bool = True
) -> Reading:
    """Read a usage object whose numbers may have any of the names in `usage_names`.

    `claim` is the convention that the source states. Set `trust_total` if the provider itself
    reported the total. From another total, a missing count is derived only if there are no
    cached or reasoning tokens, as such a total could count them twice.
    """
    reading = Reading()
    found = _meanings(values, reading)
    if not found:
        return reading
    reading.usage = _usage(found, _convention(values, claim), trust_total)
    has_details = any(isinstance(values.get(name), Mapping) for name in DETAIL_NAMES)
    if reading.usage is not None and "read" not in found and has_details:
        reading.usage.cache_read = 0
    reading.units = [each for unit in UNITS if (each := unit_of(unit, found.get(unit)))]
    _add_iterations(reading, values.get("iterations"))
    reading.cost, reading.cost_unit = _cost(found), unit_of_cost(currency_beside(values))
    _add_upstream(reading, found.get("upstream_usd"), values.get("is_byok"))
    return reading


def unit_of(unit: UnitName, value: object) -> BilledUnit | None:
    """Read the billed units; None if there are none. The quantity is None if it can't be read."""
    count = stated_count(value)
    if count == UNREADABLE:
        return BilledUnit(unit, None)
    return BilledUnit(unit, float(count)) if count else None


def _meanings(values: Mapping[str, Any], reading: Reading) -> dict[Meaning, Any]:
    """Find the value of each meaning; among several names, the first readable one is used."""
    found: dict[Meaning, Any] = {}
    ranks: dict[Meaning, int] = {}
    for path, value in leaves(values):
        named = meaning_of(path)
        if named is None:
            if isinstance(value, str | list) and stated_count(value or None) == UNREADABLE:
                found.update(dict.fromkeys(meanings_within(path), value))
            if (number := _number(path, value)) and is_telling(path):
                reading.unread.append((path, number))
            continue
        meaning, rank = named
        if meaning not in ranks or (
            value is not None and (found[meaning] is None or rank < ranks[meaning])
        ):
            found[meaning], ranks[meaning] = value, rank
    for path, value in _objects(values):
        named = meaning_of(path)
        if named is not None:
            found.setdefault(named.meaning, value)  # where a count is meant, one that can't be read
    return found


def _objects(values: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[Any]:
    """Yield the path and value of each nested object that contains no known name."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value and depth < DEEPEST:
            if not any(meaning_of(path) for path, _ in leaves(value, f"{prefix}{key}.")):
                yield f"{prefix}{key}", value
            yield from _objects(value, f"{prefix}{key}.", depth + 1)


def _number(path: str, value: object) -> float | None:
    """Return a number above 0, or such a number in a text; None for other values, such as ids."""
    if isinstance(value, str) and not path.lower().endswith("id"):
        value = count_of(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value < 1e15 else None


def usage_values(data: Raw | bytes) -> dict[str, Any] | None:
    """Decode a usage object, which may be JSON in a string; None if it is not an object."""
    if not present(data):
        return None
    try:
        values = parsed(parse_lenient(bytes(data)))
    except UnreadableError:
        return None
    return values if isinstance(values, dict) else None


def leaves(
    values: Mapping[str, Any], prefix: str = "", depth: int = 0
) -> Iterator[tuple[str, Any]]:
    """Yield the path and value of each leaf in an object.

    In Gemini's lists of `modality` and `tokenCount`, the modality becomes part of the path.
    """
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and depth < DEEPEST:
            yield from leaves(value, f"{path}.", depth + 1)
        elif isinstance(value, list) and path != "iterations":
            yield from _listed(path, value)
        elif path != "iterations":
            yield path, value


def _listed(path: str, items: list[Any]) -> Iterator[tuple[str, Any]]:
    named = False
    for item in items:
        if isinstance(item, dict) and ("modality" in item or "ttl" in item):
            named = True
            kind = str(item.get("modality", item.get("ttl"))).lower()
            counts = (item.get(name) for name in ("tokenCount", "token_count", "inputTokens"))
            yield f"{path}.{kind}", next((count for count in counts if count is not None), None)
    if not named:
        yield path, items  # where a count is meant, one that can't be read


def _convention(values: Mapping[str, Any], claim: Convention) -> Convention:
    """Distinguish Anthropic's and Converse's objects from OpenAI's by their names."""
    if claim != "openai":
        return claim
    if "inputTokens" in values or "outputTokens" in values:
        return "bedrock_converse"
    names = ("prompt_tokens", "total_tokens", "cached_tokens", "cached_input_tokens", *DETAIL_NAMES)
    is_openai = any(name in values for name in names)
    is_anthropic = "input_tokens" in values and not is_openai
    return "anthropic" if is_anthropic else claim


DETAIL_NAMES = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
ALWAYS_DETAILED = ("anthropic", "bedrock_converse", "bedrock_log", "gemini", "exclusive",
                   "exclusive, reasoning apart")  # fmt: skip


LIFETIMES: tuple[Part, ...] = ("write_5m", "write_1h", "write_30m", "write_12h")
WHOLE: tuple[Part, ...] = ("input", "uncached", "output", "total")
DETAILS: tuple[Part, ...] = ("read", "tool_input", "creation", "write", *LIFETIMES, "reasoning")


def _usage(found: dict[Meaning, Any], convention: Convention, trust_total: bool) -> Usage | None:
    counts = {
        **{part: count_of(found.get(part)) for part in WHOLE},
        **{part: stated_count(found.get(part)) for part in DETAILS},
    }
    sent, total = counts.get("input"), counts.get("total")
    if sent is None and counts.get("uncached") is not None:
        sent, convention = counts["uncached"], "exclusive"
    if sent is not None and (more := counts.get("tool_input")):
        sent = UNREADABLE if more == UNREADABLE else sent + more
    usage = Usage(
        convention,
        input=sent,
        output=counts.get("output"),
        cache_read=counts.get("read"),
        reasoning=counts.get("reasoning") or 0,
        total=total if trust_total and convention != "anthropic" else None,
    )
    if "read" not in found and convention in ALWAYS_DETAILED:
        usage.cache_read = 0
    _add_writes(usage, counts)
    if convention == "gemini" and "output" not in found and total is None:
        usage.output = 0  # protobuf leaves out what is zero
    parts = [counts.get(part) for part in DETAILS]
    if total is not None and UNREADABLE not in parts and (trust_total or not any(parts)):
        _derive(usage, total)
    return plausible(usage)


def _add_writes(usage: Usage, counts: Mapping[Part, int | None]) -> None:
    """Add cache writes by TTL; writes without a stated TTL get the provider's default."""
    writes = counts.get("creation") if counts.get("creation") is not None else counts.get("write")
    torn = any(counts.get(part) == UNREADABLE for part in LIFETIMES)
    if writes == UNREADABLE or (torn and writes is None):
        usage.cache_write_other = UNREADABLE
        return
    counts = {part: None if n == UNREADABLE else n for part, n in counts.items()}
    short, long = counts.get("write_5m") or 0, counts.get("write_1h") or 0
    half, day = counts.get("write_30m") or 0, counts.get("write_12h") or 0
    stated = short + long + half + day
    is_anthropic = counts.get("creation") is not None or usage.convention == "bedrock_converse"
    rest = max((writes or 0) - stated, 0)
    if not torn and counts.get("write_5m") is not None:
        rest = 0  # the split covers all writes
    usage.unstated_writes = rest
    usage.cache_write_5m = short + (rest if is_anthropic else 0)
    usage.cache_write_1h = long
    usage.cache_write_other = half + day + (0 if is_anthropic else rest)
    usage.other_ttl = "12h" if day else "30m" if half else None


def _derive(usage: Usage, total: int) -> None:
    """Work out the one count that is missing from the total."""
    if (usage.input is None) == (usage.output is None):
        return
    left = total - (usage.input or 0) - (usage.output or 0)
    if usage.convention in ("bedrock_converse", "bedrock_log", "exclusive", "langfuse"):
        left -= (usage.cache_read or 0) + usage.cache_write_5m + usage.cache_write_1h
        left -= usage.cache_write_other
    if usage.convention in ("gemini", "xai", "langfuse"):
        left -= usage.reasoning
    if left < 0:
        return
    if usage.input is None:
        usage.input = left
    else:
        usage.output = left


def _add_iterations(reading: Reading, iterations: object) -> None:
    """Read the sampling iterations of one Anthropic call.

    A compaction is billed in addition to the call's own counts. The same is true for iterations
    of a model other than the one that answers.
    """
    each = (
        [one for one in iterations if isinstance(one, dict)] if isinstance(iterations, list) else []
    )
    own = {one.get("model") for one in each if one.get("type") in (None, "message")}
    for one in each:
        found = read_usage({k: v for k, v in one.items() if k != "iterations"}, "anthropic").usage
        is_compaction = one.get("type") == "compaction"
        other = one["model"] if isinstance(one.get("model"), str) else None
        if reading.usage is None or not (is_compaction or (other and other not in own)):
            continue
        if found is None or found.unreadable or found.input is None or found.output is None:
            reading.units.append(BilledUnit("other_model_input_token", None, other))
        elif is_compaction:
            _add(reading.usage, found)
        else:
            reading.units += _of_other_model(found, str(other))


def _add(usage: Usage, more: Usage) -> None:
    for name in ("input", "output"):
        own = getattr(usage, name)
        setattr(usage, name, None if own is None else own + getattr(more, name))
    usage.cache_read = (usage.cache_read or 0) + (more.cache_read or 0)
    usage.cache_write_5m += more.cache_write_5m
    usage.cache_write_1h += more.cache_write_1h
    usage.unstated_writes += more.unstated_writes


def _of_other_model(usage: Usage, model: str) -> list[BilledUnit]:
    written = usage.cache_write_5m + usage.cache_write_1h + usage.cache_write_other
    quantities: tuple[tuple[UnitName, int], ...] = (
        ("other_model_input_token", usage.input or 0),
        ("other_model_output_token", usage.output or 0),
        ("other_model_read_token", usage.cache_read or 0),
        ("other_model_write_token", written),
    )
    return [BilledUnit(unit, float(count), model) for unit, count in quantities if count]


def _cost(found: Mapping[Meaning, Any]) -> str | None:
    cost = decimal_of(found.get("cost_usd"))
    ticks = decimal_of(found.get("cost_ticks"))
    if cost is None and ticks is not None:
        return str(Decimal(ticks) / TICKS)
    return cost


def _add_upstream(reading: Reading, upstream: object, is_byok: object) -> None:
    """Add the provider's cost if the user's own key is used: the gateway's cost is only a fee."""
    bill = decimal_of(upstream)
    if is_byok is not True or bill is None or reading.cost is None:
        return
    fee = Decimal(reading.cost)
    reading.units.append(BilledUnit("gateway_fee_usd", float(fee)))
    reading.cost = str(fee + Decimal(bill))


CACHED = ("cache_read", "cache_write_5m", "cache_write_1h", "cache_write_other")


def plausible(usage: Usage) -> Usage | None:
    """Replace wrong counts (negative, absurd, unreadable) by missing ones; None if none is left.

    If cached or reasoning tokens are wrong, the count that excludes them is missing too.
    """
    for name in ("input", "output", "total"):
        if not _is_count(getattr(usage, name)):
            setattr(usage, name, None)
    shape = CLAIMS[usage.convention]
    wrong = [name for name in CACHED if not _is_count(getattr(usage, name))]
    usage.unreadable = (*usage.unreadable, *wrong)
    for name in wrong:
        setattr(usage, name, 0)
    cached = sum(getattr(usage, name) or 0 for name in CACHED)
    if wrong:
        usage.cache_read = usage.cache_read or None
        includes = shape.input_includes_cache and cached <= (usage.input or 0)
        usage.input = usage.input if includes else None
    if not _is_count(usage.reasoning):
        usage.reasoning, usage.unreadable = 0, (*usage.unreadable, "reasoning")
        known = (usage.input or 0) + (usage.output or 0) + cached
        includes = shape.output_includes_reasoning and (usage.total or 0) <= known
        usage.output = usage.output if includes else None
    return None if usage.input is None and usage.output is None else usage


def counts_among(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the numbers that may be billed, among other fields; names lose the prefix."""
    return {
        name.removeprefix(prefix): value
        for name, value in values.items()
        if name.startswith(prefix) and not isinstance(value, dict | list) and is_telling(name)
    }


ROW = re.compile(r"token|cache|search|image|audio|cost", re.IGNORECASE)


def unread_columns(values: Mapping[str, Any], *read: str) -> tuple[tuple[str, float], ...]:
    """Return the numbers that may be billed in a flat row, except sums and the names in `read`.

    Fewer words tell them than in a usage object, because a row has sizes and times as well.
    """
    return tuple(
        (name, number)
        for name, value in values.items()
        if name not in read and _may_be_billed(name) and (number := _number(name, value))
    )


@lru_cache(maxsize=4096)  # the rows of a log have the same names
def _may_be_billed(name: str) -> bool:
    named = meaning_of(name)
    is_sum = named is not None and named.meaning in ("known", "total")
    return ROW.search(name) is not None and is_telling(name) and not is_sum


def _is_count(count: int | None) -> bool:
    return count is None or 0 <= count < MOST_TOKENS


def split_writes(split: CacheCreation | None, created: int | None) -> tuple[int, int]:
    """Split Anthropic's cache writes into those of 5 minutes and of 1 hour."""
    if split is None:
        return created or 0, 0
    long = split.ephemeral_1h_input_tokens or 0
    short = split.ephemeral_5m_input_tokens
    return (max((created or 0) - long, 0) if short is None else short), long
