"""Compiled decisions of caches without a size limit, at up to 62 settings at once.

All functions share these arrays. node: int32 (n,), each request's node. ts, ready: float64 (n,).
limits: int64 (k,), the deepest similarity that hits, falling. ttls: float64 (k,) seconds, infinite
where there is no TTL. sliding, guarded: bit masks of settings. live: int64 (m,), bit masks of the
settings that hold an entry of a node. owner: int32 (m, k), the request whose answer the entry
holds. used: int32 (m, k), the request from which its TTL counts. served, depths: int32 (n, k), the
results.
"""

import numpy as np
from numba import njit

from costaudit.simulate.semantic.packing import COLUMN_BITS, COLUMN_MASK, ONE_BITS, SIMILARITY_MASK

MISS = -1
REFUSED = -3  # minus the place of the request whose answer the guard refused
UNKNOWN, PASS, REFUSE = 0, 1, 2  # verdicts
OWNER, NODE, PAIR = 0, 1, 2  # columns of a setting's best entry


@njit(cache=True, nogil=True)
def decide(  # type: ignore[no-untyped-def]  # compiled
    start, stop, node, ts, ready, starts, row_of, packed, verdicts, asked,
    limits, ttls, sliding, guarded, live, owner, used, served, depths,
):  # fmt: skip
    """Decide start <= r < stop for all settings, and return how many verdicts were missing.

    starts, row_of, packed: each node's similar nodes, nearest first. verdicts: uint8 per pair.
    `asked` lists the pairs whose verdict is unknown; they count as passed.
    """
    settings = limits.shape[0]
    best = np.empty((settings, 3), dtype=np.int64)
    lacking = 0
    for r in range(start, stop):
        pending, wanted = serve_identical(
            r, node, ts, ready, ttls, sliding, live, owner, used, served, depths
        )
        place = starts[row_of[node[r]]]
        end = starts[row_of[node[r]] + 1]
        reached = settings
        missed = 0
        while wanted and place < end:
            depth = (packed[place] >> COLUMN_BITS) & SIMILARITY_MASK
            while reached and limits[reached - 1] < depth:
                reached -= 1
            reachable = wanted & ((1 << reached) - 1)
            if not reachable:
                break
            found, place = newest_of_ties(
                place, end, depth, reachable, ts[r], packed, ts, ready, ttls, live, owner, used,
                best,
            )  # fmt: skip
            wanted ^= found
            if found:
                refused, lacking = serve_similar(
                    r, depth, found, best, verdicts, guarded, sliding, asked, lacking,
                    used, served, depths,
                )  # fmt: skip
                missed |= refused
        if wanted | missed:
            insert(r, wanted, missed, pending, node, ready, live, owner, used, served, depths)
    return lacking


@njit(cache=True, nogil=True)
def serve_identical(r, node, ts, ready, ttls, sliding, live, owner, used, served, depths):  # type: ignore[no-untyped-def]  # compiled
    """Serve identical text; return two masks of settings: answer not ready yet, and missed."""
    here = node[r]
    now = ts[r]
    pending = 0
    wanted = (1 << ttls.shape[0]) - 1
    k = 0
    while live[here] >> k:
        bit = 1 << k
        if live[here] & bit:
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
        k += 1
    return pending, wanted


@njit(cache=True, nogil=True)
def newest_of_ties(  # type: ignore[no-untyped-def]  # compiled
    place, end, depth, reachable, now, packed, ts, ready, ttls, live, owner, used, best
):
    """Search equally similar nodes; return the settings with an entry there, and the next place.

    best: int64 (k, 3), which is filled for these settings.
    """
    found = 0
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
                elif ready[holder] <= now and (not found & bit or holder > best[k, OWNER]):
                    best[k, OWNER] = holder
                    best[k, NODE] = other
                    best[k, PAIR] = place
                    found |= bit
            k += 1
        place += 1
    return found, place


@njit(cache=True, nogil=True)
def serve_similar(  # type: ignore[no-untyped-def]  # compiled
    r, depth, found, best, verdicts, guarded, sliding, asked, lacking, used, served, depths
):
    """Serve or refuse each setting's best entry; return a mask of refusals, and `lacking`."""
    refused = 0
    k = 0
    while found >> k:
        bit = 1 << k
        if found & bit:
            verdict = PASS
            if guarded & bit:
                verdict = verdicts[best[k, PAIR]]
                if verdict == UNKNOWN:
                    asked[lacking] = best[k, PAIR]
                    lacking += 1
            depths[r, k] = depth
            if verdict == REFUSE:
                served[r, k] = REFUSED - best[k, OWNER]
                refused |= bit
            else:
                served[r, k] = best[k, OWNER]
                if sliding & bit:
                    used[best[k, NODE], k] = r
        k += 1
    return refused, lacking


@njit(cache=True, nogil=True)
def insert(r, nothing, refused, pending, node, ready, live, owner, used, served, depths):  # type: ignore[no-untyped-def]  # compiled
    """Insert an entry at the settings that found no entry, or refused the entry they found."""
    here = node[r]
    missed = nothing | refused
    k = 0
    while missed >> k:
        bit = 1 << k
        if nothing & bit:
            served[r, k] = MISS
            depths[r, k] = ONE_BITS
        if missed & bit and (not pending & bit or ready[r] < ready[owner[here, k]]):
            owner[here, k] = r
            used[here, k] = r
            live[here] |= bit
        k += 1


@njit(cache=True, nogil=True)
def lowest_live(now, ts, limits, ttls, live, used, deepest):  # type: ignore[no-untyped-def]  # compiled
    """Drop entries that have expired by `now`; raise `deepest` (m,) to each node's lowest limit."""
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
    """Return the largest number of entries that one setting held at a time, from its decisions.

    node: int32 (n,), -1 for a request that is bypassed. served: int32 (n,), the place of the
    request whose answer was served, negative for a miss.
    evicted: int32 (n,), the request whose entry was evicted for this request's entry, or -1.
    owner, used: int32 (m,), filled with -1. queue: int32 (n,), space for requests whose TTL runs.
    """
    held = most = head = tail = 0
    for r in range(node.shape[0]):
        if node[r] < 0:
            continue
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
