"""Compiled loops that replay prompt caches and find where caches are written and read."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Small = NDArray[np.int32]
Codes = NDArray[np.int8]
Index = NDArray[np.int16]
Flags = NDArray[np.bool_]

NEVER = -(2**62)
FOREVER = 2**61  # microseconds: a lifetime without a limit
NO_TIME = -1


@njit(cache=True, nogil=True)
def _landing(
    first: int, last: int, now: int, node: Small, lookup: Flags, expires: Ints, available: Ints
) -> int:
    """Return a prompt's last segment at which a live entry ends; -1 for none."""
    for segment in range(last - 1, first - 1, -1):
        here = node[segment]
        if not lookup[segment] or expires[here] == NEVER:
            continue
        if now == NO_TIME or available[here] <= now < expires[here]:
            return segment
    return -1


@njit(cache=True, nogil=True)
def _split_writes(
    first: int, last: int, read: int, tokens: Small, writes: Codes, columns: Ints, row: Ints
) -> None:
    """Divide written tokens by marker; the long-lived part comes first."""
    written = read
    for code in (2, 1, 4, 3):  # one hour before five minutes, twelve hours before thirty minutes
        reach = written
        for segment in range(first, last):
            if writes[segment] == code and tokens[segment] > reach:
                reach = tokens[segment]
        row[columns[code]] += reach - written
        written = reach


@njit(cache=True, nogil=True)
def _store(
    here: int, now: int, seen: int, life: int, expires: Ints, available: Ints, lifetime: Ints
) -> None:
    """Write an entry, or renew one that is live or being written."""
    until = FOREVER if now == NO_TIME else now + life
    if expires[here] == NEVER or (now != NO_TIME and expires[here] <= now):
        available[here], expires[here], lifetime[here] = seen, until, life
    else:
        available[here] = min(available[here], seen)
        expires[here] = max(expires[here], until)
        lifetime[here] = max(lifetime[here], life)


@njit(cache=True, nogil=True)
def replay_breakpoints(
    order: Ints, seg_offsets: Ints, node: Small, tokens: Small, start: Ints, visible: Ints,
    writes: Codes, lookup: Flags, ttl: Ints, rules: Index, columns: Ints, nodes: int, warm: Small,
    result: Small,
) -> Small:  # fmt: skip
    """Replay caches that are written only at markers.

    `warm` holds, per request, the segment up to which a call before the log wrote, if no call of
    the log did; -1 for none.

    `node` and `tokens` are per segment; `writes` is the code of the marker after it (0 for none);
    `lookup` flags where a read may end; `ttl` is in microseconds by rules and code; `rules` are
    those of each request. Fill `result`, tokens by request and class, which is zero: `columns`
    holds the class of reads, and of the writes of each code (mixed lifetimes are divided by
    Anthropic's rule of positions A, B and C). Return the request that wrote what was read; -1 for
    none.
    """
    writer = np.full(nodes, -1, np.int32)
    matched = np.full(len(start), -1, np.int32)
    expires = np.full(nodes, NEVER, np.int64)
    available = np.zeros(nodes, np.int64)
    lifetime = np.zeros(nodes, np.int64)
    for request in order:
        first, last = seg_offsets[request], seg_offsets[request + 1]
        now = int(start[request])
        hit = _landing(first, last, now, node, lookup, expires, available)
        read = 0
        if warm[request] > hit and expires[node[warm[request]]] == NEVER:
            read = int(tokens[warm[request]])
            life = ttl[rules[request], 0]
            _store(node[warm[request]], now, now, life, expires, available, lifetime)
            writer[node[warm[request]]] = -1
        elif hit >= 0:
            read = int(tokens[hit])
            matched[request] = writer[node[hit]]
            if now != NO_TIME:
                expires[node[hit]] = max(expires[node[hit]], now + lifetime[node[hit]])
        result[request, columns[0]] = read
        _split_writes(first, last, read, tokens, writes, columns, result[request])
        seen = NEVER if now == NO_TIME else int(visible[request])
        for segment in range(first, last):
            code = writes[segment]
            if code > 0 and tokens[segment] > read:
                life = ttl[rules[request], code]
                _store(node[segment], now, seen, life, expires, available, lifetime)
                writer[node[segment]] = request
    return matched


@njit(cache=True, nogil=True)
def _known(
    first: int, last: int, now: int, life: int, node: Small, used: Ints, available: Ints
) -> int:
    """Return the last place of the longest live prefix; first - 1 for none."""
    for place in range(first, last):
        here = node[place]
        if used[here] == NEVER:
            return place - 1
        if now != NO_TIME and not (available[here] <= now < used[here] + life):
            return place - 1
    return last - 1


@njit(cache=True, nogil=True)
def replay_tokens(
    order: Ints, offsets: Ints, node: Small, tokens: Small, start: Ints, visible: Ints, ttl: Ints,
    persisted_units: Flags, nodes: int,
) -> tuple[Small, Small]:  # fmt: skip
    """Replay caches that store every prompt; return the longest live common prefix, in tokens.

    Using a prefix renews it. With `persisted_units`, only ends of prompts and places where two
    prompts diverged can be read. Also return the request that last used the prefix.
    """
    user = np.full(nodes, -1, np.int32)
    matched = np.full(len(start), -1, np.int32)
    used = np.full(nodes, NEVER, np.int64)
    available = np.zeros(nodes, np.int64)
    persisted = np.zeros(nodes, np.bool_)
    result = np.zeros(len(offsets) - 1, np.int32)
    for request in order:
        first, last = offsets[request], offsets[request + 1]
        now, life = int(start[request]), int(ttl[request])
        known = _known(first, last, now, life, node, used, available)
        readable = known
        if persisted_units[request]:
            while readable >= first and not persisted[node[readable]]:
                readable -= 1
            if known >= first:
                persisted[node[known]] = True
            if last > first:
                persisted[node[last - 1]] = True
        if readable >= first:
            result[request] = tokens[readable]
            matched[request] = user[node[readable]]
        timed = now != NO_TIME
        seen = int(visible[request]) if timed else NEVER
        for place in range(first, last):
            here = node[place]
            live = used[here] != NEVER and (not timed or now < used[here] + life)
            available[here] = min(available[here], seen) if live else seen
            used[here] = max(used[here], now) if timed else FOREVER
            user[here] = request
    return result, matched


TOOLS, SYSTEM, USER, ASSISTANT, TOOL = 0, 1, 2, 3, 4


@njit(cache=True, nogil=True)
def nearest_ends(seg_offsets: Ints, tokens: Small, chosen: Flags, sought: Ints) -> Ints:
    """Return each chosen prompt's segment whose end is nearest to `sought` tokens; else -1."""
    found = np.full(len(chosen), -1, np.int64)
    for request in range(len(chosen)):
        if not chosen[request]:
            continue
        best = seg_offsets[request]
        for segment in range(seg_offsets[request], seg_offsets[request + 1]):
            if abs(tokens[segment] - sought[request]) < abs(tokens[best] - sought[request]):
                best = segment
        found[request] = best
    return found


@njit(cache=True, nogil=True)
def last_markable(seg_offsets: Ints, barred: Flags) -> Ints:
    """Return each prompt's last segment that can have a marker; -1 for none."""
    found = np.full(len(seg_offsets) - 1, -1, np.int64)
    for request in range(len(found)):
        for segment in range(seg_offsets[request + 1] - 1, seg_offsets[request] - 1, -1):
            if not barred[segment]:
                found[request] = segment
                break
    return found


@njit(cache=True, nogil=True)
def head_sizes(seg_offsets: Ints, role: Codes) -> Ints:
    """Return the number of tools and system segments at the start of each prompt."""
    sizes = np.zeros(len(seg_offsets) - 1, np.int64)
    for request in range(len(sizes)):
        first, last = seg_offsets[request], seg_offsets[request + 1]
        while first + sizes[request] < last and role[first + sizes[request]] in (TOOLS, SYSTEM):
            sizes[request] += 1
    return sizes


@njit(cache=True, nogil=True)
def _back_from(first: int, marker: int, run: Codes, positions: int, lookup: Flags) -> None:
    """Flag the last `positions` positions up to a marker; a run of tool blocks is one position."""
    seen = 1
    for segment in range(marker, first - 1, -1):
        if segment < marker and (run[segment] == 0 or run[segment] != run[segment + 1]):
            seen += 1
        if seen > positions:
            return
        lookup[segment] = True


@njit(cache=True, nogil=True)
def explicit_flags(
    seg_offsets: Ints, chosen: Flags, tokens: Small, marker: Codes, granted: Codes, run: Codes,
    rules: Index, minimum: Ints, most: Ints, positions: Ints,
) -> tuple[Codes, Flags]:  # fmt: skip
    """Return where markers write, and where the search back from each may read.

    `rules` are those of each request; the other arrays of rules have a value for each of them.
    `granted` holds, by rules and code, the lifetime that the provider applies for a marker.
    """
    writes = np.zeros(len(marker), np.int8)
    lookup = np.zeros(len(marker), np.bool_)
    for request in range(len(chosen)):
        if not chosen[request]:
            continue
        ruled = rules[request]
        first, left = seg_offsets[request], most[ruled]
        for segment in range(seg_offsets[request + 1] - 1, first - 1, -1):
            if marker[segment] > 0 and left > 0:
                left -= 1
                if tokens[segment] >= minimum[ruled]:
                    writes[segment] = granted[ruled, marker[segment]]
                    _back_from(first, segment, run, positions[ruled], lookup)
    return writes, lookup


@njit(cache=True, nogil=True)
def _is_ending(first: int, last: int, segment: int, role: Codes) -> bool:
    """Return whether a message ends at `segment` where the provider may set its own marker."""
    here = role[segment]
    if segment + 1 < last and role[segment + 1] == here:
        return False
    if here in (USER, TOOL):
        return True
    if here != SYSTEM:
        return False
    return _heads(first, segment, role)


@njit(cache=True, nogil=True)
def _heads(first: int, last: int, role: Codes) -> bool:
    """Return whether first:last holds only tools and system segments."""
    segment = first
    while segment < last and role[segment] in (TOOLS, SYSTEM):
        segment += 1
    return segment == last


@njit(cache=True, nogil=True)
def last_endings(seg_offsets: Ints, role: Codes) -> Small:
    """Return the segment of each prompt where the provider sets its own marker; -1 for none."""
    found = np.full(len(seg_offsets) - 1, -1, np.int32)
    for request in range(len(found)):
        first, last = seg_offsets[request], seg_offsets[request + 1]
        for segment in range(last - 1, first - 1, -1):
            if _is_ending(first, last, segment, role):
                found[request] = segment
                break
    return found


@njit(cache=True, nogil=True)
def _flag_markers(
    first: int, last: int, own: int, slots: int, head: int, tail: int, marker: Codes,
    granted: Codes, writes: Codes, lookup: Flags,
) -> None:  # fmt: skip
    """Flag the latest explicit markers as writes, and the first and the latest as lookups."""
    count = 0
    for segment in range(first, last):
        count += marker[segment] > 0
    seen = 0
    for segment in range(first, last):
        if marker[segment] == 0:
            continue
        if segment != own and count - seen <= slots:
            writes[segment] = granted[marker[segment]]
        if seen < head or count - seen <= tail:
            lookup[segment] = True
        seen += 1


@njit(cache=True, nogil=True)
def implicit_flags(
    seg_offsets: Ints, chosen: Flags, tokens: Small, marker: Codes, granted: Codes, role: Codes,
    own: Small, rules: Index, minimum: Ints, most: Ints, endings: Ints, head: Ints, tail: Ints,
) -> tuple[Codes, Flags]:  # fmt: skip
    """Return where the provider's own and explicit markers write, and where a read may end.

    `own` is the segment of the provider's own marker, -1 if the request forbids it. Reads end at
    markers and, with an own marker, at the `endings` latest message endings before it. An own
    marker has the lifetime of an explicit one at the same place, or else `granted[:, 0]`. Arrays of
    rules are as in `explicit_flags`.
    """
    writes = np.zeros(len(marker), np.int8)
    lookup = np.zeros(len(marker), np.bool_)
    for request in range(len(chosen)):
        if not chosen[request]:
            continue
        first, last = seg_offsets[request], seg_offsets[request + 1]
        at, ruled = own[request], rules[request]
        slots = most[ruled] - (at >= 0)
        _flag_markers(
            first, last, at, slots, head[ruled], tail[ruled], marker, granted[ruled], writes, lookup
        )
        if at >= 0:
            writes[at], lookup[at] = granted[ruled, max(marker[at], 0)], True
            left = endings[ruled]
            for segment in range(at - 1, first - 1, -1):
                if _is_ending(first, last, segment, role) and (left > 0 or role[segment] == SYSTEM):
                    left -= 1
                    lookup[segment] = True
        for segment in range(first, last):
            if tokens[segment] < minimum[ruled]:
                writes[segment] = 0
    return writes, lookup
