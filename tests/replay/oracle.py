"""A semantic cache as a plain loop, written from the definition alone."""

from dataclasses import dataclass

import numpy as np

from costaudit.replay.stream import ReplayStream


@dataclass
class Resident:
    owner: int  # request whose answer the entry holds
    counted_from_s: float


def decide(
    stream: ReplayStream,
    vectors: np.ndarray,
    min_similarity: float,
    ttl_s: float | None = None,
    ttl_kind: str = "fixed",
) -> list[tuple[str, int | None, float | None]]:
    """Return (result, matched index, similarity) for each request.

    The key of an entry is (partition, text). It expires at age TTL, counted from the request that
    created it (fixed) or from its last hit (sliding), and is served only after its answer is ready.
    If two misses for one text are in flight, the first one that is ready owns the entry.
    """
    wide = vectors.astype(np.float64)
    similarities = np.clip(wide @ wide.T, 0, 1).astype(np.float32)
    limit = np.float32(min_similarity)
    cache: dict[tuple[int, int], Resident] = {}
    decisions: list[tuple[str, int | None, float | None]] = []
    for i in range(len(stream)):
        row, partition, now_s = int(stream.rows[i]), int(stream.partitions[i]), stream.ts_s[i]
        if row < 0:
            decisions.append(("bypass", None, None))
            continue
        if ttl_s is not None:
            cache = {k: e for k, e in cache.items() if now_s < e.counted_from_s + ttl_s}
        visible = {
            key[1]: entry
            for key, entry in cache.items()
            if key[0] == partition and stream.ready_s[entry.owner] <= now_s
        }
        hit: tuple[int, float] | None = None
        if row in visible:
            hit = row, 1.0
        else:
            near = [
                (similarities[row, other], entry.owner, other)
                for other, entry in visible.items()
                if similarities[row, other] >= limit
            ]
            if near:
                value, _, other = max(near)
                hit = other, float(value)
        if hit is not None:
            entry = visible[hit[0]]
            if ttl_kind == "sliding":
                entry.counted_from_s = now_s
            decisions.append(("hit", entry.owner, hit[1]))
            continue
        pending = cache.get((partition, row))
        if pending is None or stream.ready_s[i] < stream.ready_s[pending.owner]:
            cache[partition, row] = Resident(i, now_s)
        decisions.append(("miss", None, None))
    return decisions
