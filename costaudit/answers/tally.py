"""Compute the rates of simulated runs, with intervals from resampled requests."""

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.answers.consistency import Verdicts
from costaudit.answers.logged import Ints
from costaudit.answers.mixture.mixture import latent_spread
from costaudit.contracts.grades import Estimate, Grade
from costaudit.contracts.requests import TS_S

_MOST = 500  # maximum number of blocks; more are merged, which only widens the intervals
_HOUR_S = 3600.0
_SHAPE_ERROR = 0.1  # relative error of fitted wrong hits, since no mixture has quite its shape
_AT_ONCE = 200_000  # requests whose pairs are compared together
_TURNS = 1.5  # minimum number of requests per conversation for conversations to be the blocks


def blocks_of(requests: pl.DataFrame) -> npt.NDArray[np.int32]:
    """Return the block of each request: its conversation, or its hour if there are none.

    If there are more than `_MOST` blocks, conversations are dealt out over them in order of
    appearance, and hours are merged with their neighbours. If any request has no time,
    all are split into runs of successive requests.
    """
    named = requests["conversation"]
    count = named.n_unique()
    if named.null_count() < 0.5 * len(named) and len(named) >= _TURNS * count:
        order = named.fill_null("").rank("dense").cast(pl.Int64).to_numpy()
        first = np.unique(order, return_index=True)[1]
        rank = np.argsort(np.argsort(first))
        return deal(np.asarray(rank[order - 1]))
    seconds = requests.select(TS_S).to_series().to_numpy()
    if np.isnan(seconds).any() or not len(seconds):
        return (np.arange(len(seconds)) * _MOST // max(len(seconds), 1)).astype(np.int32)
    hours = np.unique((seconds // _HOUR_S).astype(np.int64), return_inverse=True)[1].reshape(-1)
    total = int(hours.max()) + 1
    return (hours * min(total, _MOST) // total).astype(np.int32)


def deal(groups: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
    """Return the block of each row's group; at most _MOST blocks, numbered without gaps."""
    dense = np.unique(groups, return_inverse=True)[1].reshape(-1)
    return np.asarray(dense % _MOST, np.int32)


def resample(blocks: int, replicates: int, seed: int) -> npt.NDArray[np.float64]:
    """Return how often each block is drawn in each replicate, (replicates + 1, blocks).

    The first row is the log as it is: every block once.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=replicates)
    return np.vstack([np.ones(blocks), drawn])


def weighted(
    place: npt.NDArray[np.int64],
    block: npt.NDArray[np.int32],
    weight: npt.NDArray[np.float64],
    places: int,
    held: npt.NDArray[np.float64] | None = None,
) -> npt.NDArray[np.float64]:
    """Count rows per place in each replicate, (replicates, places); `held`: weights of the rows."""
    from scipy.sparse import csr_array

    used, where = np.unique(place, return_inverse=True)
    held = np.ones(len(place)) if held is None else held
    shape = (len(used), weight.shape[1])
    counts = csr_array((held, (where.reshape(-1), block)), shape)  # most cells are empty
    out = np.zeros((len(weight), places))
    out[:, used] = (counts @ np.ascontiguousarray(weight.T)).T
    return out


@dataclass(frozen=True)
class HitPairs:
    """The distinct pairs (request, matched request) of some runs."""

    asked: Ints
    matched: Ints
    row: npt.NDArray[np.int64]  # (runs, n): row of each request's pair; -1 without a hit

    @classmethod
    def of(cls, served: Ints) -> "HitPairs":
        """Collect the pairs; `served`: (runs, n), the matched request, or below 0 without a hit."""
        runs, n = served.shape
        hit = served >= 0
        key = np.broadcast_to(np.arange(n, dtype=np.int64) * n, served.shape)[hit] + served[hit]
        distinct, where = np.unique(key, return_inverse=True)
        row = np.full((runs, n), -1, np.int64)
        row[hit] = where.reshape(-1)
        return cls((distinct // n).astype(np.int32), (distinct % n).astype(np.int32), row)


Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class RatePoint:
    """The rates of one simulated run."""

    hits: int
    judged: int  # of the hits, those whose two answers could be compared
    raw_hit_share: Estimate  # of eligible requests
    raw_hit_share_all: Estimate  # of all requests
    steady_hit_share: Estimate | None  # of eligible requests after warm-up
    valid_hit_share: Estimate | None  # of eligible requests; None if no hit could be judged
    unsafe_served_share: Estimate | None  # wrong answers served, of ALL requests
    # savings by right hits less the cost of wrong ones: first the log itself, then the replicates
    earned_usd: Floats = field(compare=False)


@dataclass(frozen=True)
class Judged:
    """What is known about each pair."""

    verdicts: Verdicts
    place: npt.NDArray[np.int64]  # number of the stratum and cell
    group: npt.NDArray[np.int64]  # number of the question and entry
    probability: Floats  # probability of being right
    missed: Floats  # part of it subtracted for wrong details that no detector sees: a guess
    open: Bools  # right or wrong can't be told; the interval covers both


@dataclass(frozen=True)
class Doubt:
    """How far off a number of wrong hits may be, in hits."""

    latent: float  # standard deviation that remains given the answers
    slack: float  # minimum half-width of the interval
    more_wrong: float  # what undecidable hits add if all of them are wrong
    less_wrong: float  # what they take off if all are right and no wrong detail was missed

    def of(self, total: float) -> "Doubt":
        """Return the doubt divided by a total."""
        parts = (self.latent, self.slack, self.more_wrong, self.less_wrong)
        return Doubt(*(part / total for part in parts))

    def turned(self) -> "Doubt":
        """Return the doubt about right hits."""
        return replace(self, more_wrong=self.less_wrong, less_wrong=self.more_wrong)


@dataclass(frozen=True)
class Population:
    """The requests that shares are computed over; arrays have one entry per request."""

    eligible: Bools  # whether a cache may serve it
    block: Ints  # its bootstrap block: a conversation or an hour, drawn as a whole
    steady: Bools | None = None  # whether it comes after the warm-up
    worth: Floats | None = None  # US dollars that serving it from a cache saves; None: 1 each
    wrong_cost: float = 0.0  # US dollars that a wrong answer costs
    counted: Bools | None = None  # the requests that shares are of; None: all

    @property
    def saved(self) -> Floats:
        """What serving each request from the cache saves."""
        return np.ones(len(self.block)) if self.worth is None else self.worth

    def weights(self, replicates: int, seed: int) -> Floats:
        """Return how often each block counts in each replicate, (replicates + 1, blocks)."""
        return resample(int(self.block.max()) + 1 if len(self.block) else 1, replicates, seed)


class Tally:
    """Computes shares of requests, for the log as it is and for each replicate."""

    def __init__(self, population: Population, weight: Floats, grade: Grade) -> None:
        self.population, self.weight, self.grade = population, weight, grade
        self._by_block = np.asfortranarray(weight)  # as `weighted` needs it, without a copy
        self.block = population.block
        counted = population.counted
        self.counted = np.ones(len(self.block), np.bool_) if counted is None else counted
        self.eligible = self._count(population.eligible & self.counted)
        self.all = self._count(self.counted)
        self.steady = steady = population.steady
        self.steady_eligible = (
            None if steady is None else self._count(population.eligible & self.counted & steady)
        )

    def _count(self, rows: Bools) -> Floats:
        per_block = np.bincount(self.block[rows], minlength=self.weight.shape[1])
        return self.weight @ per_block.astype(np.float64)

    def share(self, rows: Bools) -> Estimate:
        """Return the share of the counted requests that `rows` (n,) are, with its interval.

        It is at least as wide as the exact binomial interval of a share of 0.
        """
        found = _share(self._count(rows & self.counted), self.all, "estimated")
        least = 1 - 0.025 ** (1 / max(float(self.all[0]), 1.0))
        high = found.value if found.high is None else found.high
        return replace(found, high=min(1.0, max(high, found.value + least)))

    def point(self, row: npt.NDArray[np.int64], judged: Judged, right: Floats) -> RatePoint:
        """Return the rates of one run.

        row: (n,), each request's row in `judged`; -1 without a hit. right: (replicates + 1,
        places), the probability of being right.
        """
        hit = (row >= 0) & self.counted
        hits = self._count(hit)
        found = row[hit]
        known = int((judged.verdicts.right[found] >= 0).sum())
        steady = None
        if self.steady is not None and self.steady_eligible is not None:
            steady = _share(self._count(hit & self.steady), self.steady_eligible, "simulated")
        valid, unsafe = None, None
        if known or not hit.any():
            counts = weighted(judged.place[found], self.block[hit], self._by_block, right.shape[1])
            counts *= right  # in place: large arrays are slow to allocate
            wrong = hits - counts.sum(axis=1)
            off = 1 - judged.probability[found]
            wrong[0] = off.sum()
            fitted = (~judged.verdicts.certain & ~judged.open)[found]
            unsure = int(fitted.sum())
            shape = _SHAPE_ERROR * off[fitted].sum()
            doubt = Doubt(
                latent=float(np.hypot(latent_spread(off, judged.group[found]), shape)),
                slack=unsure * (1 - 0.025 ** (1 / unsure)) if unsure else 0.0,
                more_wrong=float((1 - off)[judged.open[found]].sum()),
                less_wrong=float(off[judged.open[found]].sum() + judged.missed[found].sum()),
            )
            valid, unsafe = self._judged(hits, wrong, doubt)
        return RatePoint(
            hits=int(hit.sum()),
            judged=known,
            raw_hit_share=_share(hits, self.eligible, "simulated"),
            raw_hit_share_all=_share(hits, self.all, "simulated"),
            steady_hit_share=steady,
            valid_hit_share=valid,
            unsafe_served_share=unsafe,
            earned_usd=self._earned(row, judged, right),
        )

    def _earned(self, row: npt.NDArray[np.int64], judged: Judged, right: Floats) -> Floats:
        """Return the savings by right hits less the cost of wrong ones, (replicates + 1,)."""
        hit = (row >= 0) & self.counted
        found, worth, cost = row[hit], self.population.saved[hit], self.population.wrong_cost
        place, block, places = judged.place[found], self.block[hit], right.shape[1]
        held = weighted(place, block, self._by_block, places, worth + cost)
        held *= right
        out: Floats = held.sum(axis=1)
        out[0] = float(judged.probability[found] @ (worth + cost))
        if cost:
            out -= cost * self._count(hit)
        return out

    def _judged(self, hits: Floats, wrong: Floats, doubt: Doubt) -> tuple[Estimate, Estimate]:
        """Return the valid share of eligible requests, and the unsafe share of all requests."""
        eligible, everyone = np.maximum(self.eligible, 1e-9), np.maximum(self.all, 1e-9)
        right, off = (hits - wrong) / eligible, wrong / everyone
        return (
            _around(right, doubt.turned().of(eligible[0]), self.grade),
            _around(off, doubt.of(everyone[0]), self.grade),
        )


def _share(part: Floats, whole: Floats, grade: Grade) -> Estimate:
    """Divide per replicate; the interval is the percentile interval of the replicates."""
    shares = part / np.maximum(whole, 1e-9)
    value = float(shares[0])
    if len(shares) == 1:
        return Estimate(value, grade)
    low, high = (float(q) for q in np.quantile(shares[1:], [0.025, 0.975]))
    return Estimate(value, grade, min(low, value), max(high, value))


def _around(shares: Floats, doubt: Doubt, grade: Grade) -> Estimate:
    """Return a share with a normal interval, at least `slack` wide on either side.

    Its variance is the variance of the replicates plus `latent` squared. If no hit is wrong, the
    replicates don't differ, and `slack` is the exact binomial bound. Undecidable pairs may all be
    wrong, or all right.
    """
    value = float(np.clip(shares[0], 0.0, 1.0))
    if len(shares) == 1:
        return Estimate(value, grade)
    reach = float(max(1.96 * np.hypot(shares[1:].std(ddof=1), doubt.latent), doubt.slack))
    low, high = value - reach - doubt.less_wrong, value + reach + doubt.more_wrong
    return Estimate(value, grade, max(0.0, float(low)), min(1.0, float(high)))


_SAME, _OTHER, _UNKNOWN = range(3)


def rates_by_id(
    answer: Ints, served: Ints, population: Population, *, replicates: int = 200, seed: int = 0
) -> tuple[RatePoint, ...]:
    """Estimate the rates of each run in `served` (runs, n); see HitPairs.of for its values.

    `answer` is the number of each request's answer, -1 if none was logged. Equal answers are right.
    Answers that differ may say the same in other words. They count as wrong, and the interval runs
    from none of them being wrong to the upper bound for all of them.
    """
    weight = population.weights(replicates, seed)
    right = _right_by_place(answer, served, population.block, weight)
    tally = Tally(population, weight, "assumed")
    return tuple(_widened(tally.point(*_by_id(answer, row, right[0]), right)) for row in served)


def _by_id(answer: Ints, served: Ints, right: Floats) -> tuple[npt.NDArray[np.int64], Judged]:
    """Return each request's row, -1 without a hit, in what is known about the hits of one run."""
    asked = np.flatnonzero(served >= 0).astype(np.int32)
    row = np.full(len(served), -1, np.int64)
    row[asked] = np.arange(len(asked))
    place = _places(answer, asked, served[asked])
    return row, Judged(
        Verdicts(
            right=np.array([1, 0, -1], np.int8)[place],
            similarity=np.array([1.0, np.nan, np.nan], np.float32)[place],
            level=np.zeros(len(place), np.int8),
            certain=place != _UNKNOWN,
            flags=np.zeros(len(place), np.uint32),
        ),
        place,
        group=np.arange(len(place)),
        probability=right[place],
        missed=np.zeros(len(place)),
        open=place == _UNKNOWN,
    )


def _places(answer: Ints, asked: Ints, matched: Ints) -> npt.NDArray[np.int64]:
    """Return whether the two answers of each pair are equal, differ, or are not both known."""
    own, other = answer[asked], answer[matched]
    place = np.where(own == other, _SAME, _OTHER)
    return np.where((own >= 0) & (other >= 0), place, _UNKNOWN).astype(np.int64)


def _right_by_place(answer: Ints, served: Ints, block: Ints, weight: Floats) -> Floats:
    """Return the share of right pairs by place, (replicates + 1, 3).

    Unknown pairs get the share of the known ones. `block` is the bootstrap block of each request;
    a pair of several runs counts once.
    """
    places, blocks = _UNKNOWN + 1, weight.shape[1]
    cells = np.zeros(places * blocks, np.int64)
    for at in range(0, served.shape[1], _AT_ONCE):
        pairs = np.sort(served[:, at : at + _AT_ONCE], axis=0)
        new = pairs >= 0
        new[1:] &= pairs[1:] != pairs[:-1]
        asked = np.nonzero(new)[1].astype(np.int32) + np.int32(at)
        cell = _places(answer, asked, pairs[new]) * blocks + block[asked]
        cells += np.bincount(cell, minlength=len(cells))
    counts = weight @ cells.reshape(places, blocks).T.astype(np.float64)
    known = counts[:, _SAME] + counts[:, _OTHER]
    right = np.zeros_like(counts)
    right[:, _SAME] = 1.0
    right[:, _UNKNOWN] = counts[:, _SAME] / np.maximum(known, 1e-9)
    return right


def _widened(point: RatePoint) -> RatePoint:
    """Widen the intervals to include the case that every differing answer is right."""
    valid, unsafe = point.valid_hit_share, point.unsafe_served_share
    if valid is None or unsafe is None:
        return point
    raw = point.raw_hit_share
    most = raw.value if raw.high is None else raw.high
    return replace(
        point,
        valid_hit_share=replace(valid, high=max(most, valid.value)),
        unsafe_served_share=replace(unsafe, low=0.0),
    )
