"""Compiled loops that replay prompt caches, request by request, in order of time."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Small = NDArray[np.int32]
Codes = NDArray[np.int8]
Flags = NDArray[np.bool_]

NEVER = -(2**62)
FOREVER = 2**61  # microseconds: a lifetime without end
NO_TIME = -1


@njit(cache=True, nogil=True)
def _landing(
    first: int, last: int, now: int, node: Small, lookup: Flags, expires: Ints, available: Ints
) -> int:
    """Find the last segment of a prompt after which a live entry ends; -1 where there is none."""
    for segment in range(last - 1, first - 1, -1):
        here = node[segment]
        if not lookup[segment] or expires[here] == NEVER:
            continue
        if now == NO_TIME or available[here] <= now < expires[here]:
            return segment
    return -1


@njit(cache=True, nogil=True)
def _split_writes(
    first: int, last: int, read: int, tokens: Small, writes: Codes, row: Ints
) -> None:
    """Split what is written by marker: the long-lived part comes first."""
    written = read
    for code in (2, 1, 4, 3):  # one hour before five minutes, twelve hours before thirty minutes
        reach = written
        for segment in range(first, last):
            if writes[segment] == code and tokens[segment] > reach:
                reach = tokens[segment]
        row[code] = reach - written
        written = reach


@njit(cache=True, nogil=True)
def _store(
    here: int, now: int, seen: int, life: int, expires: Ints, available: Ints, lifetime: Ints
) -> None:
    """Write an entry, or join one that is live or about to be."""
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
    writes: Codes, lookup: Flags, ttl: Ints, nodes: int,
) -> tuple[Ints, Ints]:  # fmt: skip
    """Replay caches that are written only where a marker stands.

    `node` and `tokens` are per segment, `writes` is the marker's code after it (0 for none),
    `lookup` tells where a read may land, `ttl` microseconds by request and code. Gives tokens by
    request and code: those read in column 0, those written in their codes' columns (the split of
    mixed lifetimes is Anthropic's rule of the positions A, B and C). Gives also the request that
    wrote what was read, -1 where nothing was.
    """
    writer = np.full(nodes, -1, np.int32)
    matched = np.full(len(start), -1, np.int64)
    expires = np.full(nodes, NEVER, np.int64)
    available = np.zeros(nodes, np.int64)
    lifetime = np.zeros(nodes, np.int64)
    result = np.zeros((len(start), ttl.shape[1]), np.int64)
    for request in order:
        first, last = seg_offsets[request], seg_offsets[request + 1]
        now = int(start[request])
        hit = _landing(first, last, now, node, lookup, expires, available)
        read = 0
        if hit >= 0:
            read = int(tokens[hit])
            matched[request] = writer[node[hit]]
            if now != NO_TIME:
                expires[node[hit]] = max(expires[node[hit]], now + lifetime[node[hit]])
        result[request, 0] = read
        _split_writes(first, last, read, tokens, writes, result[request])
        seen = NEVER if now == NO_TIME else int(visible[request])
        for segment in range(first, last):
            code = writes[segment]
            if code > 0 and tokens[segment] > read:
                life = ttl[request, code]
                _store(node[segment], now, seen, life, expires, available, lifetime)
                writer[node[segment]] = request
    return result, matched


@njit(cache=True, nogil=True)
def _known(
    first: int, last: int, now: int, life: int, node: Small, used: Ints, available: Ints
) -> int:
    """Find the last place of the longest live prefix; first - 1 where there is none."""
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
) -> tuple[Ints, Ints]:  # fmt: skip
    """Replay caches that hold every prompt; give the longest live common prefix, in tokens.

    Using a prefix renews it. With `persisted_units` only ends of prompts, and the places where
    two prompts were seen to part, can be read. Gives also the request that used it last.
    """
    user = np.full(nodes, -1, np.int32)
    matched = np.full(len(start), -1, np.int64)
    used = np.full(nodes, NEVER, np.int64)
    available = np.zeros(nodes, np.int64)
    persisted = np.zeros(nodes, np.bool_)
    result = np.zeros(len(offsets) - 1, np.int64)
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
