"""Compiled decisions of a cache that compares some fields with the nearest entry only.

Its index holds one entry for each text, whoever sent it: a new answer replaces the old one. When
several entries are equally similar, the entry that was written first decides, because an index
lists entries in that order. To most models, texts that differ only in capitals are equally similar.
"""

from numba import njit

from costaudit.simulate.semantic.packing import COLUMN_BITS, COLUMN_MASK, ONE_BITS, SIMILARITY_MASK

MISS = -1
SAME = 16  # float32 steps below 1: rounding moves a vector's similarity to itself this far


@njit(cache=True, nogil=True)
def decide_checked(  # type: ignore[no-untyped-def]  # compiled
    start, stop, node, pool, checked, ts, ready, arriving, starts, row_of, packed,
    limit, ttl, sliding, owner, used, stores, counters, served, depths,
):  # fmt: skip
    """Decide start <= r < stop at one setting.

    node, pool, checked: int32 (n,), each request's node, pool and checked fields. ts, ready:
    float64 (n,). arriving: int64 (n,), requests by pool and ready time. starts, row_of, packed:
    each node's similar nodes, nearest first. owner: int32 (m,), the request whose answer the entry
    holds, or -1. used: int32 (m,), the request from which the entry's TTL counts. stores: bool
    (n,), whether the cache keeps a request's answer. counters: int64 (1,), how many of `arriving`
    have arrived.
    """
    for r in range(start, stop):
        arrive(r, node, pool, ts, ready, arriving, owner, used, stores, counters)
        here, now = node[r], ts[r]
        best, depth = -1, limit
        if owner[here] >= 0 and now < ts[used[here]] + ttl:
            best, depth = here, 0
        best, depth = nearest(
            now, starts[row_of[here]], starts[row_of[here] + 1], best, depth, limit, ttl, packed,
            ts, ready, owner, used,
        )  # fmt: skip
        served[r], depths[r] = MISS, ONE_BITS
        if best >= 0:
            if checked[owner[best]] == checked[r]:
                served[r], depths[r] = owner[best], depth
            if sliding:
                used[best] = r
        stores[r] = served[r] == MISS


@njit(cache=True, nogil=True)
def arrive(r, node, pool, ts, ready, arriving, owner, used, stores, counters):  # type: ignore[no-untyped-def]  # compiled
    """Store the answers that have arrived by now: each replaces the entry of its text."""
    while counters[0] < len(arriving):
        one = arriving[counters[0]]
        if pool[one] == pool[r]:
            if one >= r or ready[one] > ts[r]:
                return
            if stores[one]:
                owner[node[one]] = used[node[one]] = one
        elif pool[one] > pool[r]:
            return
        counters[0] += 1


@njit(cache=True, nogil=True)
def nearest(now, place, end, best, depth, limit, ttl, packed, ts, ready, owner, used):  # type: ignore[no-untyped-def]  # compiled
    """Return the most similar node with an entry (the oldest of equals), and its depth.

    `best`: the text's own node if it has an entry, else -1. It is returned if no node is better.
    """
    while limit >= 0 and place < end:
        found = (packed[place] >> COLUMN_BITS) & SIMILARITY_MASK
        if found > limit or (found > depth and (best < 0 or max(depth, found) > SAME)):
            break
        other = packed[place] & COLUMN_MASK
        if owner[other] >= 0 and now < ts[used[other]] + ttl:
            mine, theirs = owner[best], owner[other]
            older = ready[theirs] == ready[mine] and theirs < mine
            if best < 0 or ready[theirs] < ready[mine] or older:
                best = other
                depth = found
        place += 1
    return best, depth
