"""Three rates per threshold: raw hits, valid hits and wrong answers served, with intervals."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from costaudit.answers.blocks import deal, resample
from costaudit.answers.consistency import Consistency, Verdicts
from costaudit.answers.hit_pairs import HitPairs
from costaudit.answers.logged import Ints
from costaudit.answers.mixture import CELLS, Fit, cells, density, fit
from costaudit.contracts.grades import Estimate, Grade

REPLICATES = 200
_BINS = np.array([0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95])  # of question similarity: the strata
_STRATA = 2 * (len(_BINS) + 1) + 1  # similar, with and without traps between questions; identical
_PAIRS_PER_ENTRY = 2.0  # what the hits on one entry may weigh in the fit, per stratum
_RIGHT, _WRONG, _UNKNOWN = CELLS, CELLS + 1, CELLS + 2  # settled pairs stand behind the cells
_WIDE = CELLS + 3
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
    valid_hit_share: Estimate | None  # of eligible requests; None where no hit could be judged
    unsafe_served_share: Estimate | None  # wrong answers served, of ALL requests


@dataclass(frozen=True)
class Rated:
    """The rates of some runs, and what they rest on."""

    points: tuple[RatePoint, ...]  # by run
    pairs: HitPairs
    verdicts: Verdicts  # by pair
    probability: Floats  # (pairs,): of being right, under the fitted mixture
    fitted: "Fitted"

    @property
    def right(self) -> npt.NDArray[np.int8]:
        """The likelier verdict per pair: 1 or 0, -1 where the answers can't be compared."""
        likely = (self.probability >= 0.5).astype(np.int8)
        return np.where(self.verdicts.right < 0, np.int8(-1), likely)

    def right_by_request(self, run: int) -> npt.NDArray[np.int8]:
        """The likelier verdict per request of one run; -1 where it is no hit, or unknown."""
        row = self.pairs.row[run]
        out = np.full(len(row), -1, np.int8)
        out[row >= 0] = self.right[row[row >= 0]]
        return out


@dataclass(frozen=True)
class Fitted:
    """The mixture fitted to the hits of some runs.

    It also rates other runs on the same log and scope, whose own hits may be too few to tell what
    right and wrong ones look like.
    """

    check: Consistency
    tally: "_Tally"
    right: Floats  # (replicates + 1, places): probability of being right

    def rates(self, served: Ints) -> Rated:
        """Estimate the rates of each run in `served` (runs, n); see HitPairs.of for its values."""
        pairs = HitPairs.of(served)
        verdicts = self.check.judge(pairs.asked, pairs.matched)
        return self.rated(pairs, verdicts, _places(self.check, pairs, verdicts))

    def rated(self, pairs: HitPairs, verdicts: Verdicts, place: npt.NDArray[np.int64]) -> Rated:
        """Estimate the rates of runs whose hits are judged already, and placed."""
        points = tuple(self.tally.point(row, place, self.right, verdicts) for row in pairs.row)
        return Rated(points, pairs, verdicts, self.right[0, place], self)


def rates(
    check: Consistency,
    served: Ints,
    *,
    eligible: Bools,
    block: Ints,
    steady: Bools | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Rated:
    """Estimate the rates of each run in `served` (runs, n); see HitPairs.of for its values.

    `eligible` and `steady` are (n,) masks, `block` numbers the bootstrap block of each request.
    Every replicate resamples blocks, measures the noise anew and fits the mixture anew.
    """
    pairs = HitPairs.of(served)
    verdicts = check.judge(pairs.asked, pairs.matched)
    blocks = int(block.max()) + 1 if len(block) else 1
    weight = resample(blocks, replicates, seed)
    place = _places(check, pairs, verdicts)
    right = _right_by_place(check, pairs, verdicts, place, replicates, seed)
    tally = _Tally(block, weight, eligible, steady, check.floor.grade)
    return Fitted(check, tally, right).rated(pairs, verdicts, place)


def _places(check: Consistency, pairs: HitPairs, verdicts: Verdicts) -> npt.NDArray[np.int64]:
    """Number the stratum and cell of each pair."""
    log = check.log
    stratum = np.searchsorted(_BINS, log.question_similarity(pairs.asked, pairs.matched), "right")
    trapped = (verdicts.flags & np.uint32((1 << 9) - 1)) != 0
    stratum = stratum + trapped * (len(_BINS) + 1)
    stratum[log.question[pairs.asked] == log.question[pairs.matched]] = _STRATA - 1
    cell = cells(np.nan_to_num(verdicts.similarity), verdicts.contradicts)
    unsure = ~verdicts.certain & (verdicts.right >= 0)
    cell = np.where(unsure, cell, np.where(verdicts.right == 1, _RIGHT, _WRONG))
    cell[verdicts.right < 0] = _UNKNOWN
    return np.asarray(stratum * _WIDE + cell, np.int64)


def _right_by_place(
    check: Consistency,
    pairs: HitPairs,
    verdicts: Verdicts,
    place: npt.NDArray[np.int64],
    replicates: int,
    seed: int,
) -> Floats:
    """Give the probability of being right per place, (replicates + 1, strata x wide).

    Prompts are resampled, together for the hits and for the repeats that tell the noise: answers
    to one prompt resemble each other.
    """
    log = check.log
    prompt = deal(log.scope.astype(np.int64) * (len(log.questions) + 1) + log.question)
    weight = resample(int(prompt.max()) + 1, replicates, seed + 1)
    right = np.zeros((len(weight), _STRATA, _WIDE))
    right[:, :, _RIGHT] = 1.0
    held = _evened(pairs.matched.astype(np.int64) * _STRATA + place // _WIDE)
    counts = _weighted(place, prompt[pairs.asked], weight, _STRATA * _WIDE, held)
    counts = counts.reshape(len(weight), _STRATA, _WIDE)
    if check.floor.grade == "assumed":
        right[:, :, :CELLS] = _by_limit(check.floor.limit)
    else:
        right[:, :, :CELLS] = _fit(check, counts[:, :, :CELLS], prompt, weight).right
    known = counts[:, :, :_UNKNOWN]
    total = known.sum(axis=2)
    expected = (known * right[:, :, :_UNKNOWN]).sum(axis=2)
    overall = expected.sum(axis=1) / np.maximum(total.sum(axis=1), 1e-9)
    right[:, :, _UNKNOWN] = (expected + overall[:, None]) / (total + 1.0)
    return right.reshape(len(weight), -1)


def _by_limit(limit: float) -> Floats:
    """Call right what lies above a fixed limit and isn't contradicted."""
    at_limit = int(cells(np.array([limit], np.float32), np.zeros(1, np.bool_))[0])
    out = np.zeros(CELLS)
    out[at_limit : CELLS // 2] = 1.0
    return out


def _fit(check: Consistency, counts: Floats, prompt: Ints, weight: Floats) -> Fit:
    """Fit the mixture per replicate, with the noise of right answers as that replicate has it."""
    calm = check.calibration
    cell = cells(calm.similarity, calm.contradicts)
    noise = _weighted(cell, prompt[calm.settled.second], weight, CELLS, calm.settled.weight)
    return fit(counts, density(noise), calm.unrelated)


def _evened(group: npt.NDArray[np.int64]) -> Floats:
    """Weigh rows so that no group, the hits on one entry, counts for more than a few pairs.

    All hits on an entry share its answer: an odd wording there would look like many wrong hits.
    """
    _, where, size = np.unique(group, return_inverse=True, return_counts=True)
    return np.minimum(1.0, _PAIRS_PER_ENTRY / size[where.reshape(-1)])


def _weighted(
    place: npt.NDArray[np.int64],
    block: Ints,
    weight: Floats,
    places: int,
    held: Floats | None = None,
) -> Floats:
    """Count rows per place in every replicate, (replicates, places); `held` weighs the rows."""
    used, where = np.unique(place, return_inverse=True)
    blocks = weight.shape[1]
    flat = np.bincount(block.astype(np.int64) * len(used) + where.reshape(-1),
                       held, minlength=blocks * len(used))  # fmt: skip
    out = np.zeros((len(weight), places))
    out[:, used] = weight @ flat.reshape(blocks, len(used)).astype(np.float64)
    return out


class _Tally:
    """Shares of requests, as they are and in every replicate."""

    def __init__(
        self, block: Ints, weight: Floats, eligible: Bools, steady: Bools | None, grade: Grade
    ) -> None:
        self.block, self.weight, self.grade = block, weight, grade
        self.eligible = self._count(eligible)
        self.all = self._count(np.ones(len(block), np.bool_))
        self.steady = steady
        self.steady_eligible = self._count(eligible & steady) if steady is not None else None

    def _count(self, rows: Bools) -> Floats:
        per_block = np.bincount(self.block[rows], minlength=self.weight.shape[1])
        return self.weight @ per_block.astype(np.float64)

    def point(
        self,
        row: npt.NDArray[np.int64],
        place: npt.NDArray[np.int64],
        right: Floats,
        verdicts: Verdicts,
    ) -> RatePoint:
        """Give the rates of one run, whose hits name rows of the pairs."""
        hit = row >= 0
        hits = self._count(hit)
        found = row[hit]
        judged = int((verdicts.right[found] >= 0).sum())
        steady = None
        if self.steady is not None and self.steady_eligible is not None:
            steady = _share(self._count(hit & self.steady), self.steady_eligible, "simulated")
        valid, unsafe = None, None
        if judged or not hit.any():
            counts = _weighted(place[found], self.block[hit], self.weight, right.shape[1])
            wrong = hits - (counts * right).sum(axis=1)
            bias = _bias(hits[0] - right @ counts[0], float(hits[0]))
            unsure = int((~verdicts.certain[found]).sum())
            valid, unsafe = self._judged(hits, wrong, bias, unsure)
        return RatePoint(
            hits=int(hit.sum()),
            judged=judged,
            raw_hit_share=_share(hits, self.eligible, "simulated"),
            raw_hit_share_all=_share(hits, self.all, "simulated"),
            steady_hit_share=steady,
            valid_hit_share=valid,
            unsafe_served_share=unsafe,
        )

    def _judged(
        self, hits: Floats, wrong: Floats, bias: float, unsure: int
    ) -> tuple[Estimate, Estimate]:
        """Give the valid and the unsafe share; together they are the raw hits."""
        slack = unsure * (1 - 0.025 ** (1 / unsure)) if unsure else 0.0
        eligible, everyone = np.maximum(self.eligible, 1e-9), np.maximum(self.all, 1e-9)
        right, off = (hits - wrong) / eligible, wrong / everyone
        return (
            _around(right, bias / eligible[0], slack / eligible[0], self.grade),
            _around(off, -bias / everyone[0], slack / everyone[0], self.grade),
        )


def _share(part: Floats, whole: Floats, grade: Grade) -> Estimate:
    """Divide per replicate; the interval is the percentile interval of the replicates."""
    shares = part / np.maximum(whole, 1e-9)
    value = float(shares[0])
    if len(shares) == 1:
        return Estimate(value, grade)
    low, high = (float(q) for q in np.quantile(shares[1:], [0.025, 0.975]))
    return Estimate(value, grade, min(low, value), max(high, value))


def _bias(wrong: Floats, hits: float) -> float:
    """Estimate by how many wrong hits the fit finds too many, from its replicates on the same hits.

    A fit finds some wrong hits in noise where there are none, and in each replicate once more:
    that excess estimates its own bias. What is left after it lies between none and all `hits`.
    """
    first = float(wrong[0])
    excess = float(wrong[1:].mean()) - first if len(wrong) > 1 else 0.0
    return first - float(np.clip(first - excess, 0.0, hits))


def _around(shares: Floats, correction: float, slack: float, grade: Grade) -> Estimate:
    """Correct a share, and put an interval around it, at least `slack` to either side.

    The interval is the normal one of the replicates, wider by the correction, which is but an
    estimate itself. Where none of many was wrong, replicates don't differ: `slack` is then the
    exact binomial interval.
    """
    value = float(np.clip(shares[0] + correction, 0.0, 1.0))
    if len(shares) == 1:
        return Estimate(value, grade)
    reach = float(max(1.96 * float(shares[1:].std(ddof=1)) + abs(correction), slack))
    return Estimate(value, grade, max(0.0, value - reach), min(1.0, value + reach))
