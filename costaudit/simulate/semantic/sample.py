"""Estimate the hit shares of a large log from a random core of its texts and the texts near it.

Each core text has a halo: the texts that may have answered it, according to a cheap embedding.
Only the core and the halo are embedded and simulated, and only requests for core texts are
counted. Exact matching needs no vectors, so its hits are known for all requests; the core shows
which share of the other requests similar texts would serve. A halo misses some neighbours. Their
number is estimated from the hits that the second half of the halo adds to the first half.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from costaudit.contracts.grades import Estimate
from costaudit.contracts.policies import SemanticPolicy
from costaudit.errors import InsufficientDataError, UsageError
from costaudit.simulate.semantic.halo.neighbours import CheapVectors, Frame, frame_of, halo_of
from costaudit.simulate.semantic.stream import Stream
from costaudit.simulate.semantic.sweep import sweep

Embed = Callable[[np.ndarray], np.ndarray]
"""Embed rows of the stream's texts: int64 (n,) → float32 (n, d) of unit length."""


LEAST_TEXTS = 200  # a smaller sample shows nothing
_CORE_POWER = 0.75  # of the sample's size: larger samples have relatively larger halos
LASTING = 0.6  # of what one doubling of the halo adds: what the next one adds
_DOUBT = 0.6  # standard error of that, as a share of it
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Sampled:
    """Shares by policy, and what they are computed from."""

    hit_share: tuple[Estimate, ...]  # of eligible requests
    weight_share: tuple[Estimate, ...]  # of the eligible requests' weight
    peak_entries: tuple[int, ...]
    embedded_texts: int
    core_texts: int


@dataclass(frozen=True)
class _Core:
    """The counted requests, under two halos; arrays with k rows have one row per policy."""

    requests: np.ndarray  # int64 (r,), place in the stream
    text: np.ndarray  # int64 (r,), place in the core
    texts: int
    served: np.ndarray  # bool (k, r)
    gained: np.ndarray  # float64 (k, r): served less served under half the halo
    left: float  # share of the gain that all other texts would add
    drawn_share: float


@dataclass(frozen=True)
class Draw:
    """How many texts to draw, and how to weigh their requests."""

    texts: int  # to embed, at most
    seed: int = 0
    weight: np.ndarray | None = None  # float64 (n,), such as what each request cost; None: 1 each
    lasting: float = LASTING


@dataclass(frozen=True)
class Vectors:
    """The two embeddings of a stream's texts."""

    cheap: CheapVectors  # of all texts, quick to make
    embed: Embed  # the one that the cache uses: slow, for some texts only


def core_size(texts: int) -> int:
    """Return how many texts of a sample are core texts."""
    return int(np.rint(texts**_CORE_POWER))


def sampled_hit_shares(
    stream: Stream,
    vectors: Vectors,
    policies: Sequence[SemanticPolicy],
    draw: Draw,
) -> Sampled:
    """Estimate each policy's hit share, with 95 % intervals, from a part of the texts.

    Raises UsageError for policies with a size limit, InsufficientDataError for too few texts.
    """
    if any(policy.max_entries is not None for policy in policies):
        raise UsageError(
            "A cache with a size limit can't be simulated from a sample of the texts.",
            hint="Leave the limit or the sampling out.",
        )
    texts = min(draw.texts, len(stream.texts))
    if texts < LEAST_TEXTS:
        raise InsufficientDataError(
            f"{texts:,} distinct texts are too few to estimate from.",
            hint=f"Sample {LEAST_TEXTS} texts or more, or leave the sampling out.",
        )
    frame = frame_of(stream)
    alike = [replace(policy, min_similarity=2.0) for policy in policies]
    distinct = list(dict.fromkeys(alike))  # mostly one: the threshold doesn't matter for them
    exact = sweep(stream, None, distinct)
    core, embedded = _simulated(stream, frame, vectors, policies, draw)
    eligible = stream.text >= 0
    framed = np.isin(stream.text, frame.texts)
    one = np.ones(len(eligible))
    hit: list[Estimate] = []
    weighed: list[Estimate] = []
    peaks = []
    for place, one_alike in enumerate(alike):
        row = distinct.index(one_alike)
        known = exact.served[row] >= 0
        open_ = framed & ~known
        for out, each in ((hit, one), (weighed, one if draw.weight is None else draw.weight)):
            out.append(_share(core, place, each, known, eligible, open_))
        missed = 1 - hit[-1].value
        by_exact = max(1e-9, 1 - known.sum() / max(1, eligible.sum()))
        peaks.append(round(int(exact.peak_entries[row]) * min(1.0, missed / by_exact)))
    return Sampled(tuple(hit), tuple(weighed), tuple(peaks), embedded, core.texts)


def _simulated(
    stream: Stream,
    frame: Frame,
    vectors: Vectors,
    policies: Sequence[SemanticPolicy],
    draw: Draw,
) -> tuple[_Core, int]:
    """Draw, embed and simulate; also return how many texts were embedded."""
    all_texts = frame.texts
    whole = draw.texts >= len(all_texts)
    count = len(all_texts) if whole else core_size(draw.texts)
    core = np.sort(np.random.default_rng(draw.seed).permutation(all_texts)[:count])
    known = vectors.embed(core)
    most = draw.texts - count
    halo = core[:0] if whole else halo_of(frame, vectors.cheap, core, known, most)
    rows = np.concatenate([core, halo])
    near = np.concatenate([known, vectors.embed(halo)]) if len(halo) else known
    half = count + len(halo) // 2
    requests, served = _served(stream, core, rows, near, policies)
    before = _served(stream, core, rows[:half], near[:half], policies)[1]
    found = _Core(
        requests=requests,
        text=np.searchsorted(core, stream.text[requests]),
        texts=count,
        served=served,
        gained=served.astype(float) - before,
        left=_left(len(rows), len(all_texts), draw.lasting),
        drawn_share=count / max(1, len(all_texts)),
    )
    return found, len(rows)


def _left(embedded: int, texts: int, lasting: float) -> float:
    """Return what further doublings up to all texts would add, if the last one added 1."""
    doublings = float(np.log2(max(1, texts) / max(1, embedded)))
    return float(lasting * (1 - lasting**doublings) / (1 - lasting))


def _served(
    stream: Stream,
    core: np.ndarray,
    rows: np.ndarray,
    vectors: np.ndarray,
    policies: Sequence[SemanticPolicy],
) -> tuple[np.ndarray, np.ndarray]:
    """Simulate the requests for some texts; return those for core texts, and whether they hit."""
    order = np.argsort(rows)
    rows = rows[order]
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
        checked=None if stream.checked is None else stream.checked[places],
    )
    counted = np.isin(stream.text[places], core)
    return places[counted], sweep(part, vectors[order], policies).served[:, counted] >= 0


def _share(
    core: _Core,
    place: int,
    weight: np.ndarray,
    known: np.ndarray,
    eligible: np.ndarray,
    open_: np.ndarray,
) -> Estimate:
    """Estimate what similar texts serve of the `open_` requests, and add the `known` ones."""
    here = weight[core.requests]
    exact = known[core.requests]

    def by_text(values: np.ndarray) -> np.ndarray:
        return np.bincount(core.text, values * here, core.texts)

    more = by_text(core.served[place].astype(float) - exact)
    gain = by_text(core.gained[place])
    ratio, low, high = _ratio(more + core.left * gain, gain * core.left, by_text(~exact), core)
    total = max(float(weight[eligible].sum()), 1e-12)
    base, rest = float(weight[known].sum()) / total, float(weight[open_].sum()) / total
    bounds = (float(np.clip(base + rest * one, 0, 1)) for one in (ratio, low, high))
    return Estimate(next(bounds), "estimated", *bounds)


def _ratio(
    more: np.ndarray, corrected: np.ndarray, of: np.ndarray, core: _Core
) -> tuple[float, float, float]:
    """Return the ratio of two sums over core texts, and its interval.

    It is Wilson's interval for as many independent texts as have the error of the ratio's
    residuals, widened by the doubt about the correction that `more` contains.
    """
    from scipy.stats import t

    total, count = float(of.sum()), len(of)
    if not total:
        return 0.0, 0.0, 0.0
    ratio = float(np.clip(more.sum() / total, 0, 1))
    spread = float(((more - ratio * of) ** 2).sum()) * count / max(1, count - 1)
    error = spread / total**2
    independent = count if not error else min(count, ratio * (1 - ratio) / error)
    independent = max(independent, 1.0) / max(1 - core.drawn_share, 1e-9)
    z = float(t.ppf((1 + _CONFIDENCE) / 2, max(1, count - 1)))
    low, high = wilson(ratio, independent, z)
    doubt = z * _DOUBT * abs(float(corrected.sum())) / total
    below, above = float(np.hypot(ratio - low, doubt)), float(np.hypot(high - ratio, doubt))
    return ratio, ratio - below, ratio + above


def wilson(share: float, draws: float, z: float) -> tuple[float, float]:
    """Return Wilson's interval of a share of so many independent draws, `z` errors wide."""
    middle = (share + z * z / (2 * draws)) / (1 + z * z / draws)
    half = z * np.sqrt(share * (1 - share) / draws + (z / (2 * draws)) ** 2)
    half /= 1 + z * z / draws
    return float(middle - half), float(middle + half)
