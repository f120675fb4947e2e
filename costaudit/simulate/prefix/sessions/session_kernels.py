"""Compiled loops over the calls of sessions: which call continues which, and reads by lifetime."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Small = NDArray[np.int32]
Codes = NDArray[np.int8]
Flags = NDArray[np.bool_]

NO_TIME = -1
NEVER = -(2**62)
MOST_OPEN = 16  # maximum number of open threads of one agent


@njit(cache=True, nogil=True)
def _head(first: int, last: int, role: Codes) -> int:
    """Return the first segment after tools and system prompt."""
    segment = first
    while segment < last and 0 <= role[segment] <= 1:
        segment += 1
    return segment


@njit(cache=True, nogil=True)
def _equal(one: int, one_last: int, other: int, other_last: int, content: Small) -> int:
    """Return the number of equal segments from two places on."""
    count = 0
    while one + count < one_last and other + count < other_last:
        if content[one + count] != content[other + count]:
            break
        count += 1
    return count


@njit(cache=True, nogil=True)
def follow_threads(
    order: Ints, agent: Ints, agents: int, model: Ints, offsets: Ints, content: Small, role: Codes,
) -> Ints:  # fmt: skip
    """Return the call that each call of an agent continues; -1 if it opens a thread.

    A call continues the thread whose last call shares the most messages with it, from the first
    message on; tools and system prompt do not matter. A call without a prompt continues the last
    call of its agent and model without one. `agent` numbers pairs of session and agent; -1 for no
    session.
    """
    heads = np.full((agents, MOST_OPEN), -1, np.int64)  # last call of each open thread, by agent
    used = np.zeros((agents, MOST_OPEN), np.int64)
    previous = np.full(len(agent), -1, np.int64)
    step = 0
    for request in order:
        here = agent[request]
        if here < 0:
            continue
        step += 1
        first, last = offsets[request], offsets[request + 1]
        start = _head(first, last, role)
        best, best_shared, oldest = -1, 0, 0
        for place in range(MOST_OPEN):
            other = heads[here, place]
            if used[here, place] < used[here, oldest]:
                oldest = place
            if other < 0:
                continue
            other_first, other_last = offsets[other], offsets[other + 1]
            if first == last or other_first == other_last:
                bare = first == last and other_first == other_last
                shared = 1 if bare and model[other] == model[request] else 0
            else:
                begin = _head(other_first, other_last, role)
                shared = _equal(start, last, begin, other_last, content)
            if shared > best_shared or (
                shared == best_shared and shared > 0 and used[here, place] > used[here, best]
            ):
                best, best_shared = place, shared
        if best >= 0:
            previous[request] = heads[here, best]
        else:
            best = oldest
        heads[here, best] = request
        used[here, best] = step
    return previous


@njit(cache=True, nogil=True)
def common_beginnings(previous: Ints, offsets: Ints, content: Small) -> Ints:
    """Return how many first segments each prompt shares with the one that it continues."""
    count = np.zeros(len(previous), np.int64)
    for request in range(len(previous)):
        before = previous[request]
        if before >= 0:
            count[request] = _equal(
                offsets[request], offsets[request + 1], offsets[before], offsets[before + 1],
                content,
            )  # fmt: skip
    return count


@njit(cache=True, nogil=True)
def _live(
    first: int, last: int, now: int, life: int, node: Small, tokens: Small, used: Ints,
    available: Ints,
) -> int:  # fmt: skip
    """Return the tokens of a prompt's longest prefix in the cache."""
    found = 0
    for place in range(first, last):
        here = node[place]
        if used[here] == NEVER:
            break
        if now != NO_TIME and not (available[here] <= now <= used[here] + life):
            break
        found = tokens[place]
    return found


@njit(cache=True, nogil=True)
def _renew(first: int, last: int, until: int, node: Small, used: Ints) -> None:
    for place in range(first, last):
        used[node[place]] = max(used[node[place]], until)


@njit(cache=True, nogil=True)
def replay_lifetime(
    order: Ints, session: Ints, offsets: Ints, node: Small, tokens: Small, start: Ints,
    seen: Ints, life: Ints, previous: Ints, keeps: Ints, period: int, pings: int, nodes: int,
) -> tuple[Ints, Ints]:  # fmt: skip
    """Return, per call, the tokens read under one lifetime, and the pings after it.

    Using a prefix renews it. After `period` microseconds without a call, a ping reads the session's
    last prompt, at most `pings` times; all pings follow a session's last call. A call without a
    logged prompt reads `keeps` tokens of the call that it continues.
    """
    used = np.full(nodes, NEVER, np.int64)
    available = np.zeros(nodes, np.int64)
    read = np.zeros(len(session), np.int64)
    sent = np.zeros(len(session), np.int64)
    latest = np.full(session.max() + 2, -1, np.int64)
    for request in order:
        now = start[request]
        before = latest[session[request]]
        if before >= 0 and pings > 0 and now != NO_TIME and start[before] != NO_TIME:
            sent[before] = min(pings, max(now - start[before], 0) // period)
            renewed = start[before] + sent[before] * period
            _renew(offsets[before], offsets[before + 1], renewed, node, used)
        latest[session[request]] = request
        parent = previous[request]
        if offsets[request] < offsets[request + 1]:
            read[request] = _live(
                offsets[request], offsets[request + 1], now, life[request], node, tokens, used,
                available,
            )  # fmt: skip
        elif parent >= 0:
            until = start[parent] + sent[parent] * period + life[request]
            untimed = now == NO_TIME or start[parent] == NO_TIME
            read[request] = keeps[request] if untimed or seen[parent] <= now <= until else 0
        for place in range(offsets[request], offsets[request + 1]):
            here = node[place]
            live = used[here] != NEVER and (now == NO_TIME or now <= used[here] + life[request])
            available[here] = min(available[here], seen[request]) if live else seen[request]
            used[here] = max(used[here], now)
    if pings > 0:
        for request in latest:
            if request >= 0 and start[request] != NO_TIME:
                sent[request] = pings
    return read, sent
