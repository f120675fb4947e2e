"""One pass over a stream that decides it under many policies, exactly.

Each policy is a cache that sees the requests in order, with at most one entry for a text in a
partition. At a request's time, entries whose TTL has run out (time >= start + TTL) are gone.
 1. If the identical text has an entry whose answer has arrived, it is served.
 2. Otherwise the most similar entry whose answer has arrived decides, ties going to the newest:
    it is served if its similarity is at least the threshold and no guard refuses the pair.
 3. A served entry is renewed (sliding TTL, LRU use, LFU count), and nothing is inserted.
 4. Otherwise the model is called. Its answer becomes the text's entry at once, and can be served
    from its arrival on. If the text already has an entry whose answer has not arrived, the cache
    keeps the answer that arrives first, or the earlier request's answer if both arrive together.
    A replaced entry counts as new.
 5. If its pool is full, a new entry evicts another: the entry inserted first (fifo), the entry
    used or inserted longest ago (lru), or the entry with the fewest uses; of these, the entry used
    or inserted longest ago (lfu). Entries without an arrived answer count, and can be evicted.
If fields are compared after the lookup (scope_after), the index holds one entry for each text, and
each answer that arrives replaces it. Only the most similar entry decides; if its fields differ, the
request is a miss. That lookup renews a sliding TTL too.
Similarity is the dot product in float64 of the float32 vectors, rounded to float32 and at most 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.requests import OUTCOMES, TOKEN_CLASSES
from costaudit.engine.pool import single_products
from costaudit.errors import InputError, InsufficientDataError, UsageError
from costaudit.simulate.semantic.decisions import PairGuard, limit_of
from costaudit.simulate.semantic.division import FULL, HERE, Division, Part, Search, decided
from costaudit.simulate.semantic.inverted_file import Cells
from costaudit.simulate.semantic.keys import REASONS
from costaudit.simulate.semantic.packing import from_depth
from costaudit.simulate.semantic.pairs import upper_bounds
from costaudit.simulate.semantic.stream import Nodes, Stream, nodes_of


def peak_entries(
    stream: Stream,
    nodes: Nodes,
    policies: Sequence[SemanticPolicy],
    served: np.ndarray,
    evicted: Mapping[int, np.ndarray],
) -> np.ndarray:
    """Return the most entries that each policy held at a time, int64 (k,).

    served: int32 (k, n), negative unless served. evicted: by place of a policy with a size limit,
    int32 (n,), the request whose entry was evicted for this request's entry, or negative.
    """
    from costaudit.simulate.semantic.decision_kernels import most_held

    node = np.full(len(stream.text), -1, dtype=np.int32)
    node[nodes.order] = nodes.node
    nothing = np.full(len(node), -1, dtype=np.int32)
    queue = np.empty(len(node), dtype=np.int32)
    peaks = np.zeros(len(policies), dtype=np.int64)
    for number, policy in enumerate(policies):
        peaks[number] = most_held(
            node, stream.ts_s, stream.ready_s, served[number], evicted.get(number, nothing),
            np.inf if policy.ttl_s is None else policy.ttl_s, policy.ttl_kind == "sliding",
            np.full(len(nodes.text), -1, dtype=np.int32),
            np.full(len(nodes.text), -1, dtype=np.int32),
            queue,
        )  # fmt: skip
    return peaks


MISS, BYPASS = -1, -2
_REFUSED = -3  # less the place whose answer was refused, as the kernels write it
_NORM_TOLERANCE = 1e-3
_AT_ONCE = 200_000  # requests whose decisions are put in their place together
CHECKED = 20_000  # requests that an approximation's error is measured on


@dataclass(frozen=True)
class Refusals:
    """The decisions in which a guard refused the most similar entry; each is a miss."""

    policy: np.ndarray  # int32, place in policies
    request: np.ndarray  # int32, place in the stream
    entry: np.ndarray  # int32, the request whose answer was refused


@dataclass(frozen=True)
class Decisions:
    """What each policy did with each request of a stream."""

    policies: tuple[SemanticPolicy, ...]
    served: np.ndarray  # int32 (k, n): the request whose answer is served, MISS or BYPASS
    similarity: np.ndarray  # float32 (k, n): 1.0 for identical text; NaN unless served or refused
    peak_entries: np.ndarray  # int64 (k,), over all pools together
    refusals: Refusals


def sweep(
    stream: Stream,
    vectors: np.ndarray | None,
    policies: Sequence[SemanticPolicy],
    guard: PairGuard | None = None,
    search: Search = FULL,
    division: Division = HERE,
) -> Decisions:
    """Decide every request of `stream` under every policy.

    vectors: float32 (m, d) of unit length, aligned with stream.texts; None where every policy
    matches identical text only. The policies may differ in threshold, TTL, capacity and eviction;
    a guard holds for all of them. The decisions don't depend on `division`; for workers of an
    engine the guard must be picklable.
    """
    check_policies(stream, policies)
    if vectors is None:
        _check_exact(policies)
        vectors = np.empty((len(stream.texts), 0), dtype=np.float32)
    else:
        _check_vectors(stream, vectors)
    with single_products():
        return _swept(stream, vectors, policies, guard, search, division)


def _swept(
    stream: Stream,
    vectors: np.ndarray,
    policies: Sequence[SemanticPolicy],
    guard: PairGuard | None,
    search: Search,
    division: Division,
) -> Decisions:
    nodes = nodes_of(stream, min(search.sizes.together, search.sizes.most_nodes))
    served = np.full((len(policies), len(stream.text)), MISS, dtype=np.int32)
    served[:, stream.text < 0] = BYPASS
    similarity = np.full(served.shape, np.nan, dtype=np.float32)
    evicted: dict[int, np.ndarray] = {}
    if len(nodes.order):
        lowest = max(limit_of(policy) for policy in policies)
        if lowest >= 0:
            _check_pools(nodes, search.sizes.most_nodes)
        limit = float(from_depth(np.array([lowest]))[0])
        bounds = search.bounds or upper_bounds(vectors, limit, search.sizes)
        whole = Part(nodes, vectors, bounds, tuple(policies), guard, search)
        for one in decided(whole, stream, division):
            if one.evicted is not None and one.settings[0] not in evicted:
                evicted[one.settings[0]] = np.full(len(stream.text), MISS, dtype=np.int32)
            for at in range(0, len(one.order), _AT_ONCE):
                here = slice(at, at + _AT_ONCE)
                order = one.order[here]
                for column, place in enumerate(one.settings):
                    found = one.served[here, column]
                    served[place, order] = _placed(found, one.order)
                    alike = from_depth(one.depths[here, column])
                    similarity[place, order] = np.where(found == MISS, np.float32(np.nan), alike)
                if one.evicted is not None:
                    evicted[one.settings[0]][order] = _placed(one.evicted[here], one.order)
    policy, request = np.nonzero(served <= _REFUSED)
    entry = _REFUSED - served[policy, request]
    served[policy, request] = MISS
    return Decisions(
        policies=tuple(policies),
        served=served,
        similarity=similarity,
        peak_entries=peak_entries(stream, nodes, policies, served, evicted),
        refusals=Refusals(policy.astype(np.int32), request.astype(np.int32), entry),
    )


def _placed(local: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Turn places in a segment into places in the stream; keep the codes of misses and refusals."""
    refused = local <= _REFUSED
    place = np.where(refused, _REFUSED - local, local)
    placed = np.where(place < 0, place, order[np.maximum(place, 0)])
    return np.where(refused, _REFUSED - placed, placed)


def _check_pools(nodes: Nodes, most: int) -> None:
    """Raise InsufficientDataError if a pool is too large to look for similar texts."""
    largest = max(one.nodes.stop - one.nodes.start for one in nodes.segments)
    if largest > most:
        raise InsufficientDataError(
            f"{largest:,} distinct texts in one scope are more than the {most:,} of an exact "
            "sweep.",
            hint="Use the sampling estimator with --sample.",
        )


def check_policies(stream: Stream, policies: Sequence[SemanticPolicy]) -> None:
    """Raise UsageError if policies need different streams, InsufficientDataError without times."""
    kinds = {
        (one.scope, one.scope_after, one.key, one.visible_after, one.max_temperature)
        for one in policies
    }
    if len(kinds) != 1:
        raise UsageError(
            "Policies of one sweep must share scope, key, visibility and temperature limit.",
            hint="Make a stream for each of them.",
        )
    if not stream.timed and any(policy.ttl_s is not None for policy in policies):
        raise InsufficientDataError(
            "The log has no times, so entries can't grow old and a TTL can't be simulated.",
            hint="Leave the TTL out, or export the log with its timestamps.",
        )


def _check_exact(policies: Sequence[SemanticPolicy]) -> None:
    if any(policy.min_similarity <= 1 for policy in policies):
        raise InputError(
            "Similar texts can't be found without vectors.",
            hint="Embed the texts, or match identical ones only: a threshold above 1.",
        )


def _check_vectors(stream: Stream, vectors: np.ndarray) -> None:
    if vectors.ndim != 2 or len(vectors) != len(stream.texts):
        raise InputError(
            f"There are vectors of shape {vectors.shape} for {len(stream.texts)} texts.",
            hint="Embed the texts of this run again.",
        )
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    if not (np.abs(norms - 1) <= _NORM_TOLERANCE).all():
        place = int(np.argmin(np.abs(norms - 1) <= _NORM_TOLERANCE))
        raise InputError(
            f"The vector of text number {place:,} has length {norms[place]:.4g}.",
            hint="Give vectors of unit length.",
        )


def to_outcomes(
    decisions: Decisions, place: int, stream: Stream, requests: pl.DataFrame
) -> pl.DataFrame:
    """Return the outcomes of REQUESTS, in order, under the policy at `place`; none is judged yet.

    A hit is billed no tokens and has no latency of its own; every other request keeps the
    tokens and latency of the log, with zero tokens where the log has none. A bypassed request that
    failed is an error.
    """
    served = decisions.served[place]
    hit = served >= 0
    same = hit & (stream.text[np.maximum(served, 0)] == stream.text)
    reason = np.array(REASONS)[stream.bypass]
    reason = np.where(hit, np.where(same, "exact", "similar"), reason)
    failed = (served == BYPASS) & (reason == "status_error")
    result = np.select([hit, failed, served == BYPASS], ["hit", "error", "bypass"], "miss")
    ids = requests["request_id"]
    matched = pl.Series(np.where(hit, served, 0)).cast(pl.UInt32)
    tokens = [
        pl.when(pl.lit(pl.Series(hit))).then(0).otherwise(pl.col(name).fill_null(0)).alias(name)
        for name in TOKEN_CLASSES
    ]
    columns = {
        "policy_id": pl.lit(decisions.policies[place].policy_id),
        "request_id": pl.col("request_id"),
        "result": pl.lit(pl.Series(result)),
        "reason": pl.lit(pl.Series(reason)).replace("", None),
        "matched_id": pl.when(pl.lit(pl.Series(hit))).then(pl.lit(ids.gather(matched))),
        "similarity": pl.when(pl.lit(pl.Series(hit))).then(
            pl.lit(pl.Series(decisions.similarity[place]))
        ),
        "right": pl.lit(None),
        "latency_ms": pl.when(~pl.lit(pl.Series(hit))).then(pl.col("latency_ms")),
    }
    frame = requests.select(*tokens, **columns)
    return frame.select(pl.col(name).cast(dtype) for name, dtype in OUTCOMES.items())


def approximation_errors(
    stream: Stream,
    vectors: np.ndarray,
    policies: Sequence[SemanticPolicy],
    cells: Cells,
    guard: PairGuard | None = None,
    checked: int = CHECKED,
) -> tuple[int, tuple[float, ...]]:
    """Return how many first requests were checked, and the errors of their hit shares.

    The requests are decided twice: exactly, and with the cells. The error of a policy is its
    approximate hit share of the eligible requests minus its exact hit share.
    """
    part, rows = first_requests(stream, checked)
    near = vectors[rows]

    def part_guard(asked: np.ndarray, held: np.ndarray) -> np.ndarray:
        return guard(rows[asked], rows[held]) if guard else np.zeros(len(asked), dtype=bool)

    only = part_guard if guard else None
    exact = (sweep(part, near, policies, only).served >= 0).sum(axis=1)
    quick = (sweep(part, near, policies, only, Search(cells.of(rows))).served >= 0).sum(axis=1)
    eligible = max(1, int((part.text >= 0).sum()))
    return len(part.text), tuple(((quick - exact) / eligible).tolist())


def first_requests(stream: Stream, count: int) -> tuple[Stream, np.ndarray]:
    """Return a stream of the first requests and their texts, and the texts' rows."""
    places = slice(0, count)
    text = stream.text[places]
    rows = np.unique(text[text >= 0])
    part = Stream(
        texts=stream.texts[rows],
        text=np.where(text >= 0, np.searchsorted(rows, text), -1).astype(np.int32),
        partition=stream.partition[places],
        pool=stream.pool[places],
        ts_s=stream.ts_s[places],
        ready_s=stream.ready_s[places],
        bypass=stream.bypass[places],
        timed=stream.timed,
        checked=None if stream.checked is None else stream.checked[places],
    )
    return part, rows
