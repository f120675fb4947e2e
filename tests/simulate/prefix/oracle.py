"""Reference simulation of prompt caches: plain loops, with whole prefixes as dictionary keys."""

from collections.abc import Sequence
from dataclasses import dataclass, field

CHUNK = 16  # characters per word in test texts; different words differ in the first character


@dataclass(frozen=True)
class Part:
    """One segment, made of words of CHUNK characters."""

    role: str
    kind: str
    words: tuple[str, ...]
    tokens: int
    marker: str = ""

    @property
    def text(self) -> str:
        return "".join(word * CHUNK for word in self.words)


@dataclass(frozen=True)
class Call:
    """One request; times are in seconds."""

    at: float
    parts: tuple[Part, ...]
    to_first: float = 1.0
    took: float = 2.0
    scope: str = "m"

    @property
    def total(self) -> int:
        return sum(part.tokens for part in self.parts)

    def prefix_tokens(self, index: int) -> int:
        return sum(part.tokens for part in self.parts[: index + 1])

    def key(self, index: int) -> tuple[object, ...]:
        parts = self.parts[: index + 1]
        return (self.scope, *((part.role, part.kind, part.text) for part in parts))


@dataclass
class Entry:
    ttl: float
    available_at: float
    expires_at: float


def positions_back(parts: Sequence[Part], marker: int, limit: int) -> list[int]:
    """List the segments within `limit` positions back from a marker, nearest first."""
    found, position = [], 1
    for index in range(marker, -1, -1):
        same_run = (
            index < marker
            and parts[index].kind == parts[index + 1].kind
            and parts[index].kind in ("tool_use", "tool_result")
        )
        if index < marker and not same_run:
            position += 1
        if position > limit:
            break
        found.append(index)
    return found


def anthropic(calls: Sequence[Call], minimum: int) -> list[tuple[int, int, int, int]]:
    """Return (uncached, read, 5m write, 1h write) tokens per call, in the given order."""
    entries: dict[tuple[object, ...], Entry] = {}
    lifetimes = {"5m": 300.0, "1h": 3600.0}
    results = []
    for call in calls:
        markers = [i for i, part in enumerate(call.parts) if part.marker][-4:]
        markers = [i for i in markers if call.prefix_tokens(i) >= minimum]
        read = 0
        for marker in reversed(markers):
            for index in positions_back(call.parts, marker, 20):
                entry = entries.get(call.key(index))
                if entry and entry.available_at <= call.at < entry.expires_at:
                    read = call.prefix_tokens(index)
                    entry.expires_at = max(entry.expires_at, call.at + entry.ttl)
                    break
            if read:
                break
        hours = [call.prefix_tokens(i) for i in markers if call.parts[i].marker == "1h"]
        hour_end = max([size for size in hours if size > read], default=read)
        end = max([call.prefix_tokens(i) for i in markers], default=0)
        end = max(end, hour_end)
        results.append((call.total - end, read, end - hour_end, hour_end - read))
        for index in markers:
            if call.prefix_tokens(index) <= read:
                continue
            ttl = lifetimes[call.parts[index].marker]
            old = entries.get(call.key(index))
            new = Entry(ttl, call.at + call.to_first, call.at + ttl)
            if old and old.expires_at > call.at:
                new = Entry(
                    max(old.ttl, ttl),
                    min(old.available_at, new.available_at),
                    max(old.expires_at, new.expires_at),
                )
            entries[call.key(index)] = new
    return results


@dataclass
class Seen:
    used: float
    available_at: float
    persisted: bool = field(default=False)


def word_prefixes(call: Call) -> list[tuple[tuple[object, ...], int]]:
    """List every prefix of whole words with its tokens; each segment's end is a separate prefix."""
    found: list[tuple[tuple[object, ...], int]] = []
    before: tuple[object, ...] = (call.scope,)
    tokens = 0
    for part in call.parts:
        for count in range(1, len(part.words) + 1):
            inside = part.tokens * count // len(part.words)
            key = (*before, part.role, part.kind, part.words[:count], "open")
            found.append((key, tokens + inside))
        tokens += part.tokens
        before = (*before, part.role, part.kind, part.words, "closed")
        found.append((before, tokens))
    return found


def longest_live_prefixes(
    calls: Sequence[Call], ttl: float, persisted_units: bool = False
) -> list[int]:
    """Return the tokens of the longest live common prefix per call."""
    seen: dict[tuple[object, ...], Seen] = {}
    results = []
    for call in calls:
        prefixes = word_prefixes(call)
        known = []
        for key, tokens in prefixes:
            state = seen.get(key)
            if not state or not state.available_at <= call.at < state.used + ttl:
                break
            known.append((key, tokens))
        readable = [t for key, t in known if not persisted_units or seen[key].persisted]
        results.append(max(readable, default=0))
        for key, _ in prefixes:
            state = seen.get(key)
            first = call.at + call.to_first
            if state is None or call.at >= state.used + ttl:
                seen[key] = Seen(call.at, first, bool(state and state.persisted))
            else:
                state.available_at = min(state.available_at, first)
                state.used = max(state.used, call.at)
        if known:
            seen[known[-1][0]].persisted = True
        seen[prefixes[-1][0]].persisted = True
    return results
