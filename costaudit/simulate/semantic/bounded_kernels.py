"""Compiled decisions of a cache with a size limit, at one setting.

All functions share the arrays of decision_kernels and these. pool: int32 (n,), each request's
pool. owner, used: int32 (m,); owner is -1 where the node has no entry. rank: int64 (m,); eviction
removes the entry with the lowest rank first. heap_keys, heap_nodes: a heap of ranks; stale ranks
stay until they reach the top. queue: int32 (n,), requests whose TTL runs. counters: int64 (4,).
"""

from numba import njit

from costaudit.simulate.semantic.packing import COLUMN_BITS, COLUMN_MASK, ONE_BITS, SIMILARITY_MASK

MISS = -1
REFUSED = -3  # minus the place of the request whose answer the guard refused
UNKNOWN, PASS, REFUSE = 0, 1, 2  # verdicts
FIFO, LRU, LFU = 0, 1, 2
HELD, HEAD, TAIL, HEAP = 0, 1, 2, 3  # counters: entries held, queue's ends, heap's size
USE_SHIFT = 40  # the rank of LFU: the number of uses, then the time of the last use


@njit(cache=True, nogil=True)
def decide_bounded(  # type: ignore[no-untyped-def]  # compiled
    start, stop, node, pool, ts, ready, starts, row_of, packed, verdicts, asked,
    limit, ttl, sliding, guarded, capacity, eviction,
    owner, used, rank, heap_keys, heap_nodes, queue, counters, served, depths, evicted,
):  # fmt: skip
    """Decide start <= r < stop with at most `capacity` entries in each pool.

    Return how many verdicts were missing. `asked` lists the pairs without a verdict; they count
    as passed. evicted: int32 (n,), the request whose entry was evicted when this request's entry
    was inserted, or -1.
    """
    lacking = 0
    for r in range(start, stop):
        here = node[r]
        if r > 0 and pool[r] != pool[r - 1]:
            counters[HELD] = 0
            counters[HEAP] = 0
            counters[HEAD] = counters[TAIL]
        drop_expired(ts[r], ttl, node, ts, owner, used, queue, counters, served)
        pair = -1
        depths[r] = 0
        best = here if owner[here] >= 0 and ready[owner[here]] <= ts[r] else -1
        if best < 0:
            pair = most_similar(
                ts[r], starts[row_of[here]], starts[row_of[here] + 1], limit, packed, ready, owner
            )
            depths[r] = ONE_BITS
            if pair >= 0:
                best = packed[pair] & COLUMN_MASK
                depths[r] = (packed[pair] >> COLUMN_BITS) & SIMILARITY_MASK
        verdict = verdicts[pair] if guarded and pair >= 0 else PASS
        if verdict == UNKNOWN:
            asked[lacking] = pair
            lacking += 1
        if best >= 0 and verdict != REFUSE:
            served[r] = owner[best]
            renew(r, best, sliding, eviction, used, rank, heap_keys, heap_nodes, queue, counters)
            continue
        served[r] = REFUSED - owner[best] if best >= 0 else MISS
        if owner[here] < 0:
            if counters[HELD] == capacity:
                evicted[r] = evict(owner, rank, heap_keys, heap_nodes, counters)
            counters[HELD] += 1
        elif ready[r] >= ready[owner[here]]:
            continue
        owner[here] = r
        used[here] = r
        rank[here] = r
        push(heap_keys, heap_nodes, counters, r, here)
        queue[counters[TAIL]] = r
        counters[TAIL] += 1
    return lacking


@njit(cache=True, nogil=True)
def drop_expired(now, ttl, node, ts, owner, used, queue, counters, served):  # type: ignore[no-untyped-def]  # compiled
    """Drop the entries whose TTL has run out."""
    while counters[HEAD] < counters[TAIL] and now >= ts[queue[counters[HEAD]]] + ttl:
        started = queue[counters[HEAD]]
        counters[HEAD] += 1
        gone = node[served[started]] if served[started] >= 0 else node[started]
        if owner[gone] >= 0 and used[gone] == started:
            owner[gone] = -1
            counters[HELD] -= 1


@njit(cache=True, nogil=True)
def most_similar(now, place, end, limit, packed, ready, owner):  # type: ignore[no-untyped-def]  # compiled
    """Return the pair with the most similar entry (the newest of equals), or -1 for none."""
    pair = -1
    newest = -1
    depth = limit
    while place < end:
        found = (packed[place] >> COLUMN_BITS) & SIMILARITY_MASK
        if found > depth:
            break
        holder = owner[packed[place] & COLUMN_MASK]
        if holder > newest and ready[holder] <= now:
            newest = holder
            pair = place
            depth = found
        place += 1
    return pair


@njit(cache=True, nogil=True)
def renew(r, best, sliding, eviction, used, rank, heap_keys, heap_nodes, queue, counters):  # type: ignore[no-untyped-def]  # compiled
    """Record that an entry was used."""
    if sliding:
        used[best] = r
        queue[counters[TAIL]] = r
        counters[TAIL] += 1
    if eviction == FIFO:
        return
    uses = (rank[best] >> USE_SHIFT) + 1 if eviction == LFU else 0
    rank[best] = (uses << USE_SHIFT) | r
    push(heap_keys, heap_nodes, counters, rank[best], best)


@njit(cache=True, nogil=True)
def evict(owner, rank, heap_keys, heap_nodes, counters):  # type: ignore[no-untyped-def]  # compiled
    """Evict the entry with the lowest rank, and return the request whose answer it held."""
    while True:
        which = heap_nodes[0]
        current = owner[which] >= 0 and rank[which] == heap_keys[0]
        drop_top(heap_keys, heap_nodes, counters)
        if current:
            break
    request = owner[which]
    owner[which] = -1
    counters[HELD] -= 1
    return request


@njit(cache=True, nogil=True)
def push(keys, nodes, counters, key, which):  # type: ignore[no-untyped-def]  # compiled
    """Add a key to the binary heap, which keeps the smallest key on top."""
    place = counters[HEAP]
    counters[HEAP] += 1
    while place > 0:
        parent = (place - 1) >> 1
        if keys[parent] <= key:
            break
        keys[place] = keys[parent]
        nodes[place] = nodes[parent]
        place = parent
    keys[place] = key
    nodes[place] = which


@njit(cache=True, nogil=True)
def drop_top(keys, nodes, counters):  # type: ignore[no-untyped-def]  # compiled
    """Remove the top of the heap."""
    counters[HEAP] -= 1
    size = counters[HEAP]
    key = keys[size]
    which = nodes[size]
    place = 0
    child = 1
    while child < size:
        if child + 1 < size and keys[child + 1] < keys[child]:
            child += 1
        if keys[child] >= key:
            break
        keys[place] = keys[child]
        nodes[place] = nodes[child]
        place = child
        child = 2 * place + 1
    keys[place] = key
    nodes[place] = which
