"""List the key paths of records with counts, types and shapes, but never with content."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from costaudit.ingest.calls.fields import count_of, parse_time, parsed
from costaudit.ingest.mapping.cells import is_other_date, written_day, written_number

DEEPEST = 8
MOST_PATHS = 400
LONGEST_SHAPE = 24  # characters of an example
FREE_KEYS = 40  # this many distinct keys that no other record shares are data
ID_KEY = re.compile(r"(?=.*\d)[0-9A-Fa-f-]{8,}|\d+|.*[@\s].*\s.*|.{61,}|.*@.*\..*")
NUMBER_TEXT = "text of a number"
MESSAGES = re.compile(r"([^\[\]]+)\[\]\.(?:role|content)")


@dataclass
class KeyPath:
    """One path of the records looked at."""

    path: str
    records: int = 0  # records that have it
    types: Counter[str] = field(default_factory=Counter)
    shape: str = ""  # of its first value
    read_as: tuple[str, ...] = ()  # fields of a call that depend on it

    @property
    def type(self) -> str:
        """Return the names of its types, the most common first."""
        return ", ".join(name for name, _ in self.types.most_common())


def key_paths(records: Sequence[object]) -> list[KeyPath]:
    """List every path of some records with its types, its count and the shape of a value."""
    found: dict[str, KeyPath] = {}
    for record in records:
        seen: set[str] = set()
        for path, value in leaves(record):
            if path not in found and len(found) >= MOST_PATHS:
                continue
            own = found.setdefault(path, KeyPath(path))
            own.types[type_of(value)] += 1
            own.shape = own.shape or shape_of(value)
            if path not in seen:
                own.records += 1
                seen.add(path)
    return list(found.values())


def leaves(value: object, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield each path that ends in a value; elements of lists share the path `name[]`.

    Keys that are data themselves, such as ids, become `{key}`.
    """
    value = parsed(value)
    if isinstance(value, dict) and value and depth < DEEPEST:
        for key, inner in value.items():
            name = "{key}" if ID_KEY.fullmatch(str(key)) else str(key)
            yield from leaves(inner, f"{path}.{name}" if path else name, depth + 1)
    elif isinstance(value, list) and value and depth < DEEPEST:
        for inner in value[:FREE_KEYS]:
            yield from leaves(inner, f"{path}[]", depth + 1)
    else:
        yield path, value


def type_of(value: object) -> str:
    """Return the JSON type of a value; for a text, also what it holds."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return (
            "time" if isinstance(value, int) and value > 10**9 and parse_time(value) else "number"
        )
    if isinstance(value, str):
        is_time = parse_time(value) is not None or written_day(value) or is_other_date(value)
        if is_time:
            return "time"
        is_number = count_of(value) is not None or written_number(value) is not None
        return NUMBER_TEXT if is_number else "text"
    return "list" if isinstance(value, list) else "object"


def shape_of(value: object) -> str:
    """Return a value with each letter as `x` and each digit as `9`; for long texts, the length."""
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, list | dict):
        return "[]" if isinstance(value, list) else "{}"
    text = str(value)
    if len(text) > LONGEST_SHAPE or (isinstance(value, str) and len(text.split()) > 2):
        return f"{len(text):,} characters"
    return re.sub(r"\d", "9", re.sub(r"[^\W\d_]", "x", text))


CANDIDATES: tuple[tuple[str, re.Pattern[str], tuple[str, ...]], ...] = tuple(
    (name, re.compile(pattern, re.IGNORECASE), types)
    for name, pattern, types in (
        ("ts", r"(time ?stamp|created( ?at)?|start(ed)?( ?(at|time))?|(request|date) ?time"
         r"|fecha|zeit|time|when|at|ts|date)",
         ("time",)),
        ("model", r"(model ?(name|id)?|modelo|modell|llm|engine|deployment)", ("text",)),
        ("provider", r"(provider|vendor|proveedor|anbieter)", ("text",)),
        ("cache_read_tokens", r"(cached?( ?read)?( ?input)?( ?tokens?)|cache ?hits?( ?tokens?)?)",
         ("number",)),
        ("input_tokens", r"((prompt|input|in|entrada|eingabe|request|sent)( ?tok(en)?s?)?"
         r"( ?(count|in))?|tok(en)?s? ?(in|entrada|prompt|sent|input))", ("number",)),
        ("output_tokens", r"((completion|output|out|salida|ausgabe|response|generated|received)"
         r"( ?tok(en)?s?)?( ?count)?|tok(en)?s? ?(out|salida|completion|received|output))",
         ("number",)),
        ("total_tokens", r"(total( ?tok(en)?s?)?|tok(en)?s? ?total)", ("number",)),
        ("cost", r"(total ?)?(cost|price|spend|coste?|kosten|charge|amount)( ?(usd|total))?",
         ("number",)),
        ("messages", r"(messages|turns|conversation|history)", ("object", "list")),
        ("prompt", r"(prompt|question|query|input|request|pregunta|frage|user ?(message|input)|q)",
         ("text",)),
        ("answer", r"(answer|completion|output|response|reply|respuesta|antwort|result|a)",
         ("text",)),
        ("latency_ms", r"(latency|duration|elapsed|took)( ?ms)?", ("number",)),
        ("user", r"(user|user ?id|usuario|customer|end ?user)", ("text", "number")),
        ("tenant", r"(tenant|org(anization)?( ?id)?|team|account|workspace|cliente)", ("text",)),
        ("conversation", r"(conversation|session|thread|chat)( ?id)?", ("text",)),
        ("status", r"(status|estado|outcome)", ("text",)),
        ("native_id", r"(id|request ?id|call ?id|uuid)", ("text", "number")),
    )
)  # fmt: skip


LIST = re.compile(r"([^\[\]]+)\[\]\.")
COUNTS = frozenset(("input_tokens", "output_tokens", "total_tokens"))
SUMS = COUNTS | {"cache_read_tokens", "cost", "latency_ms"}  # around a list, of all its elements


def drafted_map(paths: Sequence[KeyPath]) -> dict[str, str]:
    """Propose a mapping for records that no source knows, by the names and types of their paths.

    It is a draft that the user must check. It is empty if nothing looks like a call. If the
    elements of a list have more counts than the records, they are the calls.
    """
    best = _drafted(paths)
    for name in dict.fromkeys(match[1] for one in paths if (match := LIST.match(one.path))):
        head = f"{name}[]."
        inner = [
            replace(one, path=one.path.removeprefix(head))
            for one in paths
            if one.path.startswith(head)
        ]
        around = [one for one in paths if not one.path.startswith(f"{name}[]")]
        own = {one.path for one in inner}
        found = {
            field: path
            for field, path in _drafted([*inner, *around]).items()
            if path in own or field not in SUMS
        }
        if len(COUNTS & set(found)) > len(COUNTS & set(best)):
            best = {"each": name, **found}
    return best


def _drafted(paths: Iterable[KeyPath]) -> dict[str, str]:
    """Return the first path that fits each field; empty if they make no call."""
    paths = list(paths)
    draft: dict[str, str] = {}
    free = [one for one in paths if one.path and "[]" not in one.path and "{key}" not in one.path]
    for name, pattern, types in CANDIDATES:
        for one in free:
            kinds = {"number" if kind == NUMBER_TEXT else kind for kind in one.types}
            last = _words(one.path.rpartition(".")[2])
            if one.path in draft.values() or not pattern.fullmatch(last) or not kinds & set(types):
                continue
            draft[name] = one.path
            break
    lists = [
        one.path.partition("[]")[0]
        for one in paths
        if re.search(r"\[\]\.(role|content)$", one.path)
    ]
    if lists and "messages" not in draft:
        draft["messages"] = lists[0]
        draft.pop("prompt", None)
    is_call = COUNTS & set(draft) or ("model" in draft and {"prompt", "messages"} & set(draft))
    return draft if is_call else {}


def _words(name: str) -> str:
    """Return a name as words: `promptTokens`, `prompt_tokens` and `Prompt (tokens)` are equal."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return " ".join(re.findall(r"[^\W_]+", apart)).lower()


def map_text(draft: dict[str, str]) -> str:
    """Return a draft as the TOML text of a mapping."""
    if not draft:
        return ""
    return "[fields]\n" + "".join(f"{key} = {json.dumps(path)}\n" for key, path in draft.items())
