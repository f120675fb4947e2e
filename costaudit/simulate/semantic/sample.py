"""Hit shares of a large log from a part of its texts.

A few groups of similar texts are drawn as the core, and each core text brings its likely nearest
neighbours along as a halo. Only these are embedded and simulated, and only requests for core texts
are counted. What exact matching serves is known for all requests without any vector; the sample
tells which share of the rest similar texts would serve.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from costaudit.contracts.grades import Estimate
from costaudit.contracts.policies import SemanticPolicy
from costaudit.errors import InsufficientDataError, UsageError
from costaudit.simulate.semantic.stream import Stream
from costaudit.simulate.semantic.sweep import sweep

_GROUP_TEXTS = 20  # of a group, on average
_HALO = 32  # neighbours that each core text brings along
_LEAST_GROUPS = 8
_ROUNDS = 10  # of k-means
_RIDGE = 1.0
_CORE_BLOCK = 1_024
_CONFIDENCE = 0.95

Embed = Callable[[np.ndarray], np.ndarray]
"""Embed rows of the stream's texts: int64 (n,) → float32 (n, d) of unit length."""


@dataclass(frozen=True)
class Sampled:
    """Hit shares of eligible requests, by policy, and what they rest on."""

    hit_share: tuple[Estimate, ...]
    embedded_texts: int
    core_texts: int
    core_requests: int
    groups: int  # drawn as core: the independent parts of the sample


def sampled_hit_shares(
    stream: Stream,
    cheap: np.ndarray,
    embed: Embed,
    policies: Sequence[SemanticPolicy],
    *,
    share: float,
    seed: int = 0,
) -> Sampled:
    """Estimate each policy's hit share, with 95 % intervals, from `share` of the texts as core.

    cheap: float32 (m, c), an embedding of all texts that is quick to make. As many texts again are
    embedded to learn which of them are near each other, and the halo: several times `share` in all.
    Raises UsageError for a share that can't be drawn, InsufficientDataError for too few groups.
    """
    if not 0 < share < 1:
        raise UsageError(
            f"A sample of {share:.0%} of the texts can't be drawn.", hint="Give 1% to 50%."
        )
    rng = np.random.default_rng(seed)
    group = _groups(cheap, seed)
    drawn = _drawn_groups(group, share, rng)
    core = np.flatnonzero(np.isin(group, drawn))
    rows, vectors = _embedded(cheap, core, embed, rng)
    exact = sweep(stream, cheap, [replace(policy, min_similarity=2.0) for policy in policies])
    part, places = _part(stream, rows)
    found = sweep(part, vectors, policies)
    counted = np.isin(rows, core)[part.text]
    requests = places[counted]
    groups = np.searchsorted(drawn, group[stream.text[requests]])
    eligible = stream.text >= 0
    estimates = []
    for known, served in zip(exact.served >= 0, found.served[:, counted] >= 0, strict=True):
        missed = np.bincount(groups, ~known[requests], len(drawn))
        more = np.bincount(groups, served.astype(float) - known[requests], len(drawn))
        ratio, half = _ratio(more, missed, len(drawn) / (group.max() + 1))
        base = known.sum() / eligible.sum()
        low, value, high = (
            float(np.clip(base + (1 - base) * one, 0, 1))
            for one in (ratio - half, ratio, ratio + half)
        )
        estimates.append(Estimate(value, "estimated", low, high))
    return Sampled(tuple(estimates), len(rows), len(core), len(requests), len(drawn))


def _groups(cheap: np.ndarray, seed: int) -> np.ndarray:
    """Give each text's group of similar texts, int64 (m,)."""
    import faiss

    means = faiss.Kmeans(
        cheap.shape[1],
        max(1, len(cheap) // _GROUP_TEXTS),
        niter=_ROUNDS,
        seed=seed,
        spherical=True,
        min_points_per_centroid=1,
    )
    means.train(np.ascontiguousarray(cheap, dtype=np.float32))
    nearest: np.ndarray = means.index.search(cheap, 1)[1][:, 0]
    return np.unique(nearest, return_inverse=True)[1]


def _drawn_groups(group: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Draw groups until they hold `share` of the texts, and _LEAST_GROUPS at least."""
    sizes = np.bincount(group)
    order = rng.permutation(len(sizes))
    wanted = int(np.searchsorted(np.cumsum(sizes[order]), share * len(group))) + 1
    if len(sizes) < 2 * _LEAST_GROUPS:
        raise InsufficientDataError(
            f"{len(group):,} distinct texts are too few to draw a sample from.",
            hint="Leave the sampling out: this log can be swept whole.",
        )
    return np.sort(order[: max(wanted, _LEAST_GROUPS)])


def _embedded(
    cheap: np.ndarray, core: np.ndarray, embed: Embed, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Embed the core, a pilot and the core's halo: rising rows, and their vectors."""
    others = np.setdiff1d(np.arange(len(cheap)), core)
    pilot = rng.choice(others, min(len(others), len(core)), replace=False)
    first = np.concatenate([core, pilot])
    known = embed(first)
    halo = np.setdiff1d(_halo(cheap, first, known, len(core)), first)
    rows = np.concatenate([first, halo])
    vectors = np.concatenate([known, embed(halo)]) if len(halo) else known
    order = np.argsort(rows)
    return rows[order], vectors[order]


def _halo(cheap: np.ndarray, first: np.ndarray, known: np.ndarray, core: int) -> np.ndarray:
    """List the likely nearest neighbours of the first `core` texts.

    A ridge regression on the embedded texts turns the cheap vectors into likely real ones.
    """
    near = cheap[first].astype(np.float64)
    moments = near.T @ near + _RIDGE * np.eye(near.shape[1])
    weights = np.linalg.solve(moments, near.T @ known).astype(np.float32)
    likely = cheap @ weights
    likely /= np.maximum(np.linalg.norm(likely, axis=1, keepdims=True), 1e-9)
    likely[first] = known
    most = min(_HALO, len(cheap) - 1)
    lists = []
    for start in range(0, core, _CORE_BLOCK):
        block = slice(start, min(start + _CORE_BLOCK, core))
        similarity = known[block] @ likely.T
        similarity[np.arange(similarity.shape[0]), first[block]] = -2
        lists.append(np.argpartition(-similarity, most - 1, axis=1)[:, :most].ravel())
    return np.unique(np.concatenate(lists))


def _part(stream: Stream, rows: np.ndarray) -> tuple[Stream, np.ndarray]:
    """Keep the requests for some texts, rising rows; also gives their places in the stream."""
    places = np.flatnonzero(np.isin(stream.text, rows))
    part = Stream(
        texts=stream.texts[rows],
        text=np.searchsorted(rows, stream.text[places]).astype(np.int32),
        partition=stream.partition[places],
        pool=stream.pool[places],
        ts_s=stream.ts_s[places],
        ready_s=stream.ready_s[places],
        bypass=stream.bypass[places],
        timed=stream.timed,
    )
    return part, places


def _ratio(more: np.ndarray, of: np.ndarray, drawn_share: float) -> tuple[float, float]:
    """Give the ratio of two sums over groups, and half its interval by Student's t.

    The ratio's error is that of its residuals, as for any cluster sample; a percentile bootstrap is
    too narrow for so few groups.
    """
    from scipy.stats import t

    total = float(of.sum())
    if not total:
        return 0.0, 0.0
    ratio = float(more.sum()) / total
    groups = len(of)
    spread = ((more - ratio * of) ** 2).sum() * groups / (groups - 1) * (1 - drawn_share)
    quantile = float(t.ppf((1 + _CONFIDENCE) / 2, groups - 1))
    return ratio, quantile * float(np.sqrt(spread)) / total
