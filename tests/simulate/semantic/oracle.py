"""A semantic cache as one plain loop: the independent reference of the simulator's tests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from costaudit.contracts.policies import SemanticPolicy

MISS, BYPASS = -1, -2


@dataclass
class Entry:
    """What the cache holds for one text of one partition."""

    text: int
    partition: int
    pool: int
    request: int  # whose answer it holds
    started: float  # when its TTL began
    ready: float  # when its answer arrives
    inserted: int = field(default=0)
    touched: int = field(default=0)  # request that last used or inserted it
    uses: int = field(default=0)


@dataclass
class Replay:
    """The decisions, and the most entries held at once."""

    served: list[int]
    similarity: list[float]
    refused: list[int]  # request whose answer a guard refused, or -1
    peak: int


def cosine(a: np.ndarray, b: np.ndarray) -> np.float32:
    """The definition: float64 dot product of float32 vectors, as float32, at most 1."""
    return np.float32(min(1.0, float(np.dot(a.astype(np.float64), b.astype(np.float64)))))


def replay(
    text: Sequence[int],
    partition: Sequence[int],
    pool: Sequence[int],
    ts_s: Sequence[float],
    ready_s: Sequence[float],
    vectors: np.ndarray,
    policy: SemanticPolicy,
    guard: Callable[[int, int], bool] | None = None,
) -> Replay:
    """Run the requests in order through one cache; text -1 is a bypass."""
    entries: list[Entry] = []
    result = Replay([], [], [], 0)
    for r, wanted in enumerate(text):
        if wanted < 0:
            result.served.append(BYPASS)
            result.similarity.append(float("nan"))
            result.refused.append(-1)
            continue
        now = ts_s[r]
        if policy.ttl_s is not None:
            entries = [e for e in entries if now < e.started + policy.ttl_s]
        here = [e for e in entries if e.partition == partition[r]]
        own = next((e for e in here if e.text == wanted), None)
        hit, similarity, refused = None, float("nan"), -1
        if own is not None and own.ready <= now:
            hit, similarity = own, 1.0
        else:
            best, best_similarity = None, np.float32(-2)
            for e in here:
                if e.ready > now or e is own:
                    continue
                s = cosine(vectors[wanted], vectors[e.text])
                if s > best_similarity or (s == best_similarity and e.request > best.request):
                    best, best_similarity = e, s
            enough = policy.min_similarity <= 1 and best_similarity >= np.float32(
                policy.min_similarity
            )
            if best is not None and enough:
                similarity = float(best_similarity)
                if guard is not None and guard(wanted, best.text):
                    refused = best.request
                else:
                    hit = best
        result.refused.append(refused)
        result.similarity.append(similarity)
        if hit is not None:
            result.served.append(hit.request)
            hit.touched, hit.uses = r, hit.uses + 1
            if policy.ttl_kind == "sliding":
                hit.started = now
            continue
        result.served.append(MISS)
        if own is not None and ready_s[r] >= own.ready:
            continue
        if own is not None:
            entries.remove(own)
        elif policy.max_entries is not None:
            crowd = [e for e in entries if e.pool == pool[r]]
            if len(crowd) == policy.max_entries:
                order = {
                    "fifo": lambda e: e.inserted,
                    "lru": lambda e: e.touched,
                    "lfu": lambda e: (e.uses, e.touched),
                }[policy.eviction]
                entries.remove(min(crowd, key=order))
        entries.append(Entry(wanted, partition[r], pool[r], r, now, ready_s[r], r, r))
        result.peak = max(result.peak, len(entries))
    return result
