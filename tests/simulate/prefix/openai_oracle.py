"""Reference simulation of OpenAI's breakpoints since GPT-5.6: plain loops over whole prefixes."""

from collections.abc import Sequence

from tests.simulate.prefix.oracle import Call, Entry, Part

MINIMUM = 1024
LIFETIMES = {"30m": 1800.0, "12h": 43_200.0}


def message_ends(parts: Sequence[Part]) -> list[int]:
    """List the indices where eligible messages end; adjacent parts of one role are one message."""
    ends = []
    for index, part in enumerate(parts):
        is_end = index + 1 == len(parts) or parts[index + 1].role != part.role
        initial = all(earlier.role in ("tools", "system") for earlier in parts[:index])
        if is_end and (part.role in ("user", "tool") or (part.role == "system" and initial)):
            ends.append(index)
    return ends


def breakpoints(call: Call, explicit_mode: bool) -> tuple[dict[int, float], list[int]]:
    """Return lifetimes of written breakpoints by index, and the indices where a read may end."""
    marked = [index for index, part in enumerate(call.parts) if part.marker]
    ends = message_ends(call.parts)
    boundaries = [*marked[:2], *marked[-50:]]
    if explicit_mode or not ends:
        chosen = marked[-4:]
    else:
        chosen = [*marked[-3:], ends[-1]]
        initial = [index for index in ends if call.parts[index].role == "system"]
        boundaries += [ends[-1], *ends[:-1][-20:], *initial]
    lifetimes = {index: LIFETIMES[call.parts[index].marker or "30m"] for index in chosen}
    long_enough = {i: ttl for i, ttl in lifetimes.items() if call.prefix_tokens(i) >= MINIMUM}
    return long_enough, sorted(set(boundaries))


def openai(calls: Sequence[Call], explicit: Sequence[bool]) -> list[tuple[int, int, int]]:
    """Return (uncached, read, written) tokens per call, in the given order."""
    entries: dict[tuple[object, ...], Entry] = {}
    results = []
    for call, explicit_mode in zip(calls, explicit, strict=True):
        writes, boundaries = breakpoints(call, explicit_mode)
        read = 0
        for index in reversed(boundaries):
            entry = entries.get(call.key(index))
            if entry and entry.available_at <= call.at < entry.expires_at:
                read = call.prefix_tokens(index)
                entry.expires_at = max(entry.expires_at, call.at + entry.ttl)
                break
        end = max([read, *(call.prefix_tokens(index) for index in writes)])
        results.append((call.total - end, read, end - read))
        for index, ttl in writes.items():
            if call.prefix_tokens(index) > read:
                _write(entries, call, index, ttl)
    return results


def _write(entries: dict[tuple[object, ...], Entry], call: Call, index: int, ttl: float) -> None:
    """Write an entry; merge it with a live one (readable or not) by taking the better values."""
    new = Entry(ttl, call.at + call.to_first, call.at + ttl)
    old = entries.get(call.key(index))
    if old and old.expires_at > call.at:
        new = Entry(
            max(old.ttl, ttl),
            min(old.available_at, new.available_at),
            max(old.expires_at, new.expires_at),
        )
    entries[call.key(index)] = new
