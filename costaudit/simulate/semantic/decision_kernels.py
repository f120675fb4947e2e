"""Compiled decisions of a cache without a size limit, at up to 62 settings at once."""

import numpy as np
from numba import njit

from costaudit.simulate.semantic.packing import (
    COLUMN_BITS,
    COLUMN_MASK,
    ONE_BITS,
    SIMILARITY_MASK,
)

MISS = -1
REFUSED = -3  # less the place of the request whose answer the guard refused


@njit(cache=True, nogil=True)
def decide(  # type: ignore[no-untyped-def]  # compiled
    start, stop, node, ts, ready, starts, row_of, packed, verdicts, asked,
    limits, ttls, sliding, guarded, live, owner, used, served, depths,
):  # fmt: skip
    """Decide start <= r < stop for all settings; returns how many verdicts it lacked.

    Settings stand in rising order of threshold. starts, row_of, packed: each node's similar nodes,
    nearest first. verdicts: uint8 per pair, 0 unknown, 1 pass, 2 refuse; pairs with unknown ones
    are listed in `asked` and passed. limits: int64 (k,), deepest similarity that hits. ttls:
    float64 (k,) seconds, infinite for none. sliding, guarded: bit masks of settings. live: int64
    (m,), bit masks of the settings that hold an entry of the node. owner, used: int32 (m, k), the
    request whose answer the entry holds, and the one its TTL counts from. served, depths: the
    results, (n, k).
    """
    settings = limits.shape[0]
    full = (1 << settings) - 1
    rival_owner = np.empty(settings, dtype=np.int64)
    rival_node = np.empty(settings, dtype=np.int64)
    rival_pair = np.empty(settings, dtype=np.int64)
    lacking = 0
    for r in range(start, stop):
        here = node[r]
        now = ts[r]
        pending = 0
        wanted = full
        for k in range(settings):
            bit = 1 << k
            if not live[here] & bit:
                continue
            if now >= ts[used[here, k]] + ttls[k]:
                live[here] ^= bit
            elif ready[owner[here, k]] > now:
                pending |= bit
            else:
                served[r, k] = owner[here, k]
                depths[r, k] = 0
                wanted ^= bit
                if sliding & bit:
                    used[here, k] = r
        place = starts[row_of[here]]
        end = starts[row_of[here] + 1]
        reached = settings
        missed = 0
        while wanted and place < end:
            depth = (packed[place] >> COLUMN_BITS) & SIMILARITY_MASK
            while reached and limits[reached - 1] < depth:
                reached -= 1
            reachable = wanted & ((1 << reached) - 1)
            if not reachable:
                break
            taken = 0
            while place < end and (packed[place] >> COLUMN_BITS) & SIMILARITY_MASK == depth:
                other = packed[place] & COLUMN_MASK
                held = live[other] & reachable
                k = 0
                while held >> k:
                    bit = 1 << k
                    if held & bit:
                        holder = owner[other, k]
                        if now >= ts[used[other, k]] + ttls[k]:
                            live[other] ^= bit
                        elif ready[holder] <= now and (not taken & bit or holder > rival_owner[k]):
                            rival_owner[k] = holder
                            rival_node[k] = other
                            rival_pair[k] = place
                            taken |= bit
                    k += 1
                place += 1
            wanted ^= taken
            k = 0
            while taken >> k:
                bit = 1 << k
                if taken & bit:
                    verdict = verdicts[rival_pair[k]] if guarded & bit else 1
                    if verdict == 0:
                        asked[lacking] = rival_pair[k]
                        lacking += 1
                        verdict = 1
                    depths[r, k] = depth
                    if verdict == 2:
                        served[r, k] = REFUSED - rival_owner[k]
                        missed |= bit
                    else:
                        served[r, k] = rival_owner[k]
                        if sliding & bit:
                            used[rival_node[k], k] = r
                k += 1
        for k in range(settings):
            bit = 1 << k
            if wanted & bit:
                served[r, k] = MISS
                depths[r, k] = ONE_BITS
            if not (wanted | missed) & bit:
                continue
            if not pending & bit or ready[r] < ready[owner[here, k]]:
                owner[here, k] = r
                used[here, k] = r
                live[here] |= bit
    return lacking


@njit(cache=True, nogil=True)
def lowest_live(now, ts, limits, ttls, live, used, deepest):  # type: ignore[no-untyped-def]  # compiled
    """Drop what has expired by `now`, and raise `deepest` (m,) to each node's lowest live setting."""
    for here in range(live.shape[0]):
        for k in range(limits.shape[0]):
            bit = 1 << k
            if live[here] & bit:
                if now >= ts[used[here, k]] + ttls[k]:
                    live[here] ^= bit
                else:
                    deepest[here] = max(deepest[here], limits[k])


@njit(cache=True, nogil=True)
def most_held(node, ts, ready, served, evicted, ttl, slides, owner, used, queue):  # type: ignore[no-untyped-def]  # compiled
    """Count the most entries that one setting held at a time, from its decisions.

    served: int32 (n,), the place of the request whose answer was served, negative for a miss.
    evicted: int32 (n,), the request whose entry a request's insertion pushed out, or -1. owner,
    used: int32 (m,), filled with -1. queue: int32 (n,), room for requests whose TTL runs.
    """
    held = most = head = tail = 0
    for r in range(node.shape[0]):
        now = ts[r]
        while head < tail and now >= ts[queue[head]] + ttl:
            started = queue[head]
            head += 1
            here = node[served[started]] if served[started] >= 0 else node[started]
            if used[here] == started:
                owner[here] = used[here] = -1
                held -= 1
        if served[r] >= 0:
            if slides:
                used[node[served[r]]] = r
                queue[tail] = r
                tail += 1
            continue
        here = node[r]
        if owner[here] >= 0 and ready[r] >= ready[owner[here]]:
            continue
        if evicted[r] >= 0:
            owner[node[evicted[r]]] = used[node[evicted[r]]] = -1
            held -= 1
        held += owner[here] < 0
        owner[here] = used[here] = r
        queue[tail] = r
        tail += 1
        most = max(most, held)
    return most
