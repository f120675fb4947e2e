"""A semantic cache as one plain loop: the independent reference for the simulator's tests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from costaudit.contracts.policies import SemanticPolicy

MISS, BYPASS = -1, -2


@dataclass
class Entry:
    """A cache entry for one text in one partition."""

    text: int
    partition: int
    pool: int
    request: int  # the request whose answer is stored
    started: float  # when its TTL began
    ready: float  # when its answer arrives
    touched: int  # the request that last used or inserted it
    uses: int = 0


@dataclass
class Replay:
    """The decisions and the peak number of entries."""

    served: list[int]
    similarity: list[float]
    refused: list[int]  # the request whose answer a guard refused, or -1
    peak: int


def cosine(a: np.ndarray, b: np.ndarray) -> np.float32:
    """Return the float64 dot product of float32 vectors, as float32 and at most 1."""
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
    """Run requests in order through one cache; text -1 is a bypass."""
    entries: list[Entry] = []
    result = Replay([], [], [], 0)
    for r, wanted in enumerate(text):
        now = ts_s[r]
        if policy.ttl_s is not None:
            entries = [e for e in entries if now < e.started + policy.ttl_s]
        own = next((e for e in entries if (e.text, e.partition) == (wanted, partition[r])), None)
        hit: Entry | None = None
        similarity, refused = float("nan"), -1
        if own is not None and own.ready <= now:
            hit, similarity = own, 1.0
        elif wanted >= 0:
            others = [e for e in entries if e.partition == partition[r] and e is not own]
            arrived = [e for e in others if e.ready <= now]
            hit, similarity = most_similar(wanted, arrived, vectors, policy.min_similarity)
            if hit is not None and guard is not None and guard(wanted, hit.text):
                refused = hit.request
                hit = None
        result.similarity.append(similarity)
        result.refused.append(refused)
        if wanted < 0:
            result.served.append(BYPASS)
        elif hit is not None:
            result.served.append(hit.request)
            hit.touched, hit.uses = r, hit.uses + 1
            if policy.ttl_kind == "sliding":
                hit.started = now
        else:
            result.served.append(MISS)
            if own is None or ready_s[r] < own.ready:
                make_room(entries, own, pool[r], policy)
                entries.append(Entry(wanted, partition[r], pool[r], r, now, ready_s[r], r))
                result.peak = max(result.peak, len(entries))
    return result


def most_similar(
    wanted: int, arrived: Sequence[Entry], vectors: np.ndarray, threshold: float
) -> tuple[Entry | None, float]:
    """Return the most similar entry (ties: the newest) and its similarity, or (None, nan)."""
    if not arrived:
        return None, float("nan")
    similarities = [cosine(vectors[wanted], vectors[e.text]) for e in arrived]
    top = max(similarities)
    if threshold > 1 or top < np.float32(threshold):
        return None, float("nan")
    ties = [e for e, s in zip(arrived, similarities, strict=True) if s == top]
    return max(ties, key=lambda e: e.request), float(top)


def make_room(entries: list[Entry], own: Entry | None, pool: int, policy: SemanticPolicy) -> None:
    """Remove the text's own entry, or else evict one if the pool is full."""
    crowd = [e for e in entries if e.pool == pool]
    if own is not None:
        entries.remove(own)
    elif len(crowd) == policy.max_entries:
        order = {
            "fifo": lambda e: e.request,
            "lru": lambda e: e.touched,
            "lfu": lambda e: (e.uses, e.touched),
        }[policy.eviction]
        entries.remove(min(crowd, key=order))


def replay_checked(
    text: Sequence[int],
    partition: Sequence[int],
    checked: Sequence[int],
    ts_s: Sequence[float],
    ready_s: Sequence[float],
    vectors: np.ndarray,
    policy: SemanticPolicy,
) -> list[int]:
    """Run a cache with one entry per text that checks fields of the nearest entry only."""
    held: dict[tuple[int, int], Entry] = {}
    under_way: list[Entry] = []
    served: list[int] = []
    for r, wanted in enumerate(text):
        now = ts_s[r]
        for entry in sorted(under_way, key=lambda e: (e.ready, e.request)):
            if entry.ready <= now:
                held[entry.partition, entry.text] = entry
                under_way.remove(entry)
        young = [e for e in held.values() if policy.ttl_s is None or now < e.started + policy.ttl_s]
        live = [e for e in young if e.partition == partition[r]]
        if wanted < 0:
            served.append(BYPASS)
            continue
        own = [e for e in live if e.text == wanted]
        found = nearest_written_first(wanted, live, vectors, policy.min_similarity)
        if policy.min_similarity > 1:
            found = own[0] if own else None
        hit = found is not None and checked[found.request] == checked[r]
        if found is not None and policy.ttl_kind == "sliding":
            found.started = now
        served.append(found.request if found is not None and hit else MISS)
        if not hit:
            under_way.append(Entry(wanted, partition[r], 0, r, now, ready_s[r], r))
    return served


def nearest_written_first(
    wanted: int, live: Sequence[Entry], vectors: np.ndarray, threshold: float
) -> Entry | None:
    """Return the most similar entry (ties: the oldest); near-identical vectors count as equal."""
    one = np.float32(1 - 2.0**-20)  # a vector's similarity to itself after rounding
    alike = [
        (np.float32(1) if e.text == wanted or s >= one else s, e)
        for e, s in ((e, cosine(vectors[wanted], vectors[e.text])) for e in live)
        if e.text == wanted or s >= np.float32(threshold)
    ]
    if not alike:
        return None
    top = max(s for s, _ in alike)
    return min((e for s, e in alike if s == top), key=lambda e: (e.ready, e.request))


@dataclass
class LearnedReplay:
    """What a learning cache did with each request."""

    served: list[int]
    compared: list[int]  # the request whose answer a called one is compared with, or -1


def replay_learned(
    stream: tuple[Sequence[int], Sequence[int], Sequence[float], Sequence[float]],
    vectors: np.ndarray,
    rule: tuple[float, float, int],
    draws: Sequence[float],
    judge: Callable[[int, int], int],
) -> LearnedReplay:
    """Run requests in order through a cache whose entries learn their own thresholds.

    stream: texts, partitions, times and arrivals. rule: the lowest similarity, the bound on wrong
    answers and the observations that an entry needs. Arrivals are gone through anew each time.
    """
    text, partition, ts_s, ready_s = stream
    lowest, bound, least = rule
    out = LearnedReplay([], [])
    for r, wanted in enumerate(text):
        out.compared.append(-1)
        if wanted < 0:
            out.served.append(BYPASS)
            continue
        called = [q for q in range(r) if out.served[q] == MISS and ready_s[q] <= ts_s[r]]
        answer: dict[tuple[int, int], int] = {}  # by text and partition
        entries: set[int] = set()
        seen: dict[int, list[tuple[float, int]]] = {}
        for q in sorted(called, key=lambda q: (ready_s[q], q)):
            holder = answer.setdefault((text[q], partition[q]), q)
            matched = out.compared[q]
            verdict = 0 if matched < 0 else judge(q, matched)
            if matched >= 0 and verdict >= 0:
                alike = float(cosine(vectors[text[q]], vectors[text[matched]]))
                seen.setdefault(matched, []).append((alike, verdict))
            if verdict != 1:
                entries.add(holder)
        own = answer.get((wanted, partition[r]))
        near = [
            (cosine(vectors[wanted], vectors[text[q]]), q)
            for q in entries
            if partition[q] == partition[r] and own is None
        ]
        top, best = max(near, default=(np.float32(-1), -1))
        if own is not None:
            out.served.append(own)
        elif top < np.float32(lowest):
            out.served.append(MISS)
        elif len(seen.get(best, ())) >= least and draws[r] < bound / (
            1 - right_by_grid(seen[best], float(top))
        ):
            out.served.append(best)
        else:
            out.served.append(MISS)
            out.compared[r] = best
    return out


def right_by_grid(seen: Sequence[tuple[float, int]], alike: float) -> float:
    """Return the mean probability of a right answer over all curves, weighted by what was seen."""
    total = right = 0.0
    for k in range(26):
        for slope in (10, 20, 40, 80):
            likelihood = 1.0
            for similarity, verdict in seen:
                chance = 1 / (1 + np.exp(-slope * (similarity - (0.6 + 0.02 * k))))
                likelihood *= chance if verdict else 1 - chance
            total += likelihood
            right += likelihood / (1 + np.exp(-slope * (alike - (0.6 + 0.02 * k))))
    return float(right / total)


def replay_curated(
    stream: tuple[Sequence[int], Sequence[int], Sequence[float], Sequence[float]],
    vectors: np.ndarray,
    limits: tuple[float, float],
    reviewed: tuple[Sequence[int], int],
    judge: Callable[[int, int], int],
) -> list[int]:
    """Run requests in order through a cache with reviewed answers, and return whose are served.

    limits: the lowest similarity for a comparison, and the threshold. reviewed: the requests whose
    answers are reviewed, and the first request that they are served to.
    """
    text, partition, ts_s, ready_s = stream
    entries: list[Entry] = []
    taken: dict[int, int] = {}  # request of an entry → the reviewed answer that it took over
    served: list[int] = []
    for r, wanted in enumerate(text):
        if wanted < 0:
            served.append(BYPASS)
            continue
        same, alike, best = max(
            (
                (text[q] == wanted, cosine(vectors[wanted], vectors[text[q]]), q)
                for q in reviewed[0]
                if partition[q] == partition[r] and r >= reviewed[1]
            ),
            default=(False, np.float32(-1), -1),
        )
        if same or (best >= 0 and alike >= np.float32(limits[1])):
            served.append(best)
            continue
        near = [e for e in entries if e.partition == partition[r]]
        own = next((e for e in near if e.text == wanted), None)
        arrived = [e for e in near if e.ready <= ts_s[r]]
        hit = own if own in arrived else None
        if hit is None:
            others = [e for e in arrived if e is not own]
            hit, _ = most_similar(wanted, others, vectors, limits[1])
        if hit is not None:
            served.append(taken.get(hit.request, hit.request))
            continue
        served.append(MISS)
        if own is None or ready_s[r] < own.ready:
            entries = [e for e in entries if e is not own]
            entries.append(Entry(wanted, partition[r], 0, r, ts_s[r], ready_s[r], r))
        if best >= 0 and alike >= np.float32(limits[0]) and judge(r, best) == 1:
            taken[r] = best
    return served
