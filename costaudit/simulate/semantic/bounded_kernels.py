"""Compiled decisions of a cache with a size limit, at one setting."""

from numba import njit

from costaudit.simulate.semantic.packing import (
    COLUMN_BITS,
    COLUMN_MASK,
    ONE_BITS,
    SIMILARITY_MASK,
)

MISS = -1
REFUSED = -3  # less the place of the request whose answer the guard refused
FIFO, LRU, LFU = 0, 1, 2
HELD, HEAD, TAIL, HEAP = 0, 1, 2, 3  # places in `counters`
USE_SHIFT = 40  # an LFU rank is hits, then the last use


@njit(cache=True, nogil=True)
def push(keys, nodes, size, key, which):  # type: ignore[no-untyped-def]  # compiled
    """Add to the binary heap of the first `size` places, smallest key on top."""
    place = size
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
def drop_top(keys, nodes, size):  # type: ignore[no-untyped-def]  # compiled
    """Take the top from the heap of the first `size` places."""
    key = keys[size - 1]
    which = nodes[size - 1]
    place = 0
    child = 1
    while child < size - 1:
        if child + 1 < size - 1 and keys[child + 1] < keys[child]:
            child += 1
        if keys[child] >= key:
            break
        keys[place] = keys[child]
        nodes[place] = nodes[child]
        place = child
        child = 2 * place + 1
    keys[place] = key
    nodes[place] = which


@njit(cache=True, nogil=True)
def decide_bounded(  # type: ignore[no-untyped-def]  # compiled
    start, stop, node, pool, ts, ready, starts, row_of, packed, verdicts, asked,
    limit, ttl, sliding, guarded, capacity, eviction,
    owner, used, rank, heap_keys, heap_nodes, queue, counters, served, depths, evicted,
):  # fmt: skip
    """Decide start <= r < stop; returns how many verdicts it lacked.

    As `decide`, for one setting, with at most `capacity` entries in each pool of requests. owner,
    used: int32 (m,), -1 where the node has no entry. rank: int64 (m,), what eviction goes by.
    heap_keys, heap_nodes: stale ranks stay in the heap until they surface. queue: requests whose
    TTL runs. counters: int64 (4,), entries held, queue head and tail, heap size. evicted: int32
    (n,), the request whose entry this one's insertion pushed out, or -1.
    """
    lacking = 0
    for r in range(start, stop):
        here = node[r]
        now = ts[r]
        if r > 0 and pool[r] != pool[r - 1]:
            counters[HELD] = 0
            counters[HEAP] = 0
            counters[HEAD] = counters[TAIL]
        while counters[HEAD] < counters[TAIL] and now >= ts[queue[counters[HEAD]]] + ttl:
            started = queue[counters[HEAD]]
            counters[HEAD] += 1
            gone = node[served[started]] if served[started] >= 0 else node[started]
            if owner[gone] >= 0 and used[gone] == started:
                owner[gone] = -1
                counters[HELD] -= 1
        depth = ONE_BITS
        best = -1
        best_node = here
        if owner[here] >= 0 and ready[owner[here]] <= now:
            best = owner[here]
            depth = 0
        place = starts[row_of[here]]
        end = starts[row_of[here] + 1]
        if best >= 0:
            end = place
        pair = -1
        while place < end:
            found = (packed[place] >> COLUMN_BITS) & SIMILARITY_MASK
            if found > limit or (best >= 0 and found > depth):
                break
            other = packed[place] & COLUMN_MASK
            if owner[other] > best and ready[owner[other]] <= now:
                best = owner[other]
                best_node = other
                depth = found
                pair = place
            place += 1
        depths[r] = depth
        verdict = 1
        if pair >= 0 and guarded:
            verdict = verdicts[pair]
            if verdict == 0:
                asked[lacking] = pair
                lacking += 1
                verdict = 1
        if best >= 0 and verdict == 1:
            served[r] = best
            if sliding:
                used[best_node] = r
                queue[counters[TAIL]] = r
                counters[TAIL] += 1
            if eviction == LFU:
                rank[best_node] = (((rank[best_node] >> USE_SHIFT) + 1) << USE_SHIFT) | r
            elif eviction == LRU:
                rank[best_node] = r
            if eviction != FIFO:
                push(heap_keys, heap_nodes, counters[HEAP], rank[best_node], best_node)
                counters[HEAP] += 1
            continue
        served[r] = REFUSED - best if best >= 0 else MISS
        if owner[here] < 0:
            if counters[HELD] == capacity:
                while True:
                    which = heap_nodes[0]
                    current = owner[which] >= 0 and rank[which] == heap_keys[0]
                    drop_top(heap_keys, heap_nodes, counters[HEAP])
                    counters[HEAP] -= 1
                    if current:
                        break
                evicted[r] = owner[which]
                owner[which] = -1
                counters[HELD] -= 1
            counters[HELD] += 1
        elif ready[r] >= ready[owner[here]]:
            continue
        owner[here] = r
        used[here] = r
        rank[here] = r
        push(heap_keys, heap_nodes, counters[HEAP], rank[here], here)
        counters[HEAP] += 1
        queue[counters[TAIL]] = r
        counters[TAIL] += 1
    return lacking
