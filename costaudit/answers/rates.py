"""Estimate raw hits, valid hits and wrong answers served per threshold, with intervals."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from costaudit.answers.calibration import LEVELS, STRONG
from costaudit.answers.consistency import Consistency, Verdicts
from costaudit.answers.logged import Ints
from costaudit.answers.mixture import CELLS, MISSED, Fit, Pool, cells, density, fit
from costaudit.answers.tally import (
    Floats,
    HitPairs,
    Judged,
    Population,
    RatePoint,
    Tally,
    deal,
    resample,
    weighted,
)
from costaudit.answers.traps.detectors import TRAP_NAMES

REPLICATES = 200
_BINS = np.array([0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95])  # of question similarity
_STRATA = 2 * (len(_BINS) + 1) + 2  # bins without and with traps between questions; same text
_SAME_TEXT, _SAME_PROMPT = _STRATA - 2, _STRATA - 1  # text after another history; whole prompt
_PAIRS_PER_ENTRY = 2.0  # maximum weight of the hits on one entry in the fit, per stratum
_LEAN = 10.0  # pseudo-pairs that pull the weight of a topic's repeats towards the average
_MOST_MORE = 4.0  # largest factor by which that weight may grow or shrink
_RIGHT, _WRONG, _UNKNOWN = CELLS, CELLS + 1, CELLS + 2  # decided pairs come after the cells
_WIDE = CELLS + 3


@dataclass(frozen=True)
class Rated:
    """The rates of some runs, and what they are computed from."""

    points: tuple[RatePoint, ...]  # by run
    pairs: HitPairs
    verdicts: Verdicts  # by pair
    probability: Floats  # (pairs,): probability of being right, under the fitted mixture
    place: npt.NDArray[np.int64]  # (pairs,): number of the stratum and cell
    fitted: "Fitted"

    @property
    def right(self) -> npt.NDArray[np.int8]:
        """The likelier verdict per pair: 1 or 0, -1 where the answers can't be compared."""
        likely = (self.probability >= 0.5).astype(np.int8)
        return np.where(self.verdicts.right < 0, np.int8(-1), likely)

    def right_by_request(self, run: int) -> npt.NDArray[np.int8]:
        """Return the likelier verdict per request of one run; -1 for misses and unknown ones."""
        row = self.pairs.row[run]
        out = np.full(len(row), -1, np.int8)
        out[row >= 0] = self.right[row[row >= 0]]
        return out


@dataclass(frozen=True)
class Fitted:
    """The mixture fitted to the hits of some runs.

    It can also rate other runs on the same log and scope, which may have too few hits to show what
    right and wrong ones look like.
    """

    check: Consistency
    tally: Tally
    right: Floats  # (replicates + 1, places): probability of being right of a single pair
    pool: Pool | None  # None if the similarity limit is assumed
    missed: Floats  # (places,): probability subtracted for wrong details that no detector sees

    def _bias(self) -> Floats:
        """Return the bias of the fit by resampling, (places,)."""
        if len(self.right) == 1:
            return np.zeros(self.right.shape[1])
        return np.asarray(self.right[1:].mean(axis=0) - self.right[0])

    def rates(self, served: Ints) -> Rated:
        """Estimate the rates of each run in `served` (runs, n); see HitPairs.of for its values."""
        pairs = HitPairs.of(served)
        verdicts = self.check.judge(pairs.asked, pairs.matched)
        return self.rated(pairs, verdicts, _places(self.check, pairs, verdicts))

    def rated(self, pairs: HitPairs, verdicts: Verdicts, place: npt.NDArray[np.int64]) -> Rated:
        """Estimate the rates of runs whose hits already have verdicts and places."""
        log = self.check.log
        key = log.question[pairs.asked].astype(np.int64) * len(log) + pairs.matched
        group = np.unique(key, return_inverse=True)[1].reshape(-1)
        probability = self.right[0, place]
        if self.pool is not None:
            pooled = self.pool.right_of(place // _WIDE, place % _WIDE, group)
            probability = np.where(np.isnan(pooled), probability, pooled)
            probability = np.clip(probability - self._bias()[place], 0.0, 1.0)
        open_ = verdicts.right < 0
        if self.pool is None:  # without repeats the limit is a guess
            open_ |= ~verdicts.certain
        missed = np.where(open_, 0.0, np.minimum(self.missed[place], 1 - probability))
        judged = Judged(verdicts, place, group, probability, missed, open_)
        points = tuple(self.tally.point(row, judged, self.right) for row in pairs.row)
        return Rated(points, pairs, verdicts, probability, place, self)


def rates(
    check: Consistency,
    served: Ints,
    population: Population,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Rated:
    """Estimate the rates of each run in `served` (runs, n); see HitPairs.of for its values.

    Each replicate resamples blocks, and then measures the noise and fits the mixture again.
    """
    pairs = HitPairs.of(served)
    verdicts = check.judge(pairs.asked, pairs.matched)
    weight = population.weights(replicates, seed)
    place = _places(check, pairs, verdicts)
    right, pool, missed = _right_by_place(check, pairs, verdicts, place, replicates, seed)
    tally = Tally(population, weight, check.floor.grade)
    return Fitted(check, tally, right, pool, missed).rated(pairs, verdicts, place)


def _places(check: Consistency, pairs: HitPairs, verdicts: Verdicts) -> npt.NDArray[np.int64]:
    """Return the number of each pair's stratum and cell."""
    log = check.log
    stratum = np.searchsorted(_BINS, log.question_similarity(pairs.asked, pairs.matched), "right")
    trapped = (verdicts.flags & np.uint32((1 << len(TRAP_NAMES)) - 1)) != 0
    stratum = stratum + trapped * (len(_BINS) + 1)
    stratum[log.question[pairs.asked] == log.question[pairs.matched]] = _SAME_TEXT
    stratum[log.whole_prompt[pairs.asked] == log.whole_prompt[pairs.matched]] = _SAME_PROMPT
    cell = cells(np.nan_to_num(verdicts.similarity), verdicts.level)
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
) -> tuple[Floats, Pool | None, Floats]:
    """Return the probability of being right per place, (replicates + 1, strata x wide).

    Also return the fitted pool, and the probability by place that was subtracted for wrong details
    that no detector sees.

    Prompts are resampled, because answers to one prompt resemble each other. The hits and the
    repeats that measure the noise use the same draw.
    """
    log = check.log
    prompt = deal(log.whole_prompt)
    weight = resample(int(prompt.max()) + 1, replicates, seed + 1)
    right = np.zeros((len(weight), _STRATA, _WIDE))
    right[:, :, _RIGHT] = 1.0
    held = _evened(pairs.matched.astype(np.int64) * _STRATA + place // _WIDE)
    counts = weighted(place, prompt[pairs.asked], weight, _STRATA * _WIDE, held)
    counts = counts.reshape(len(weight), _STRATA, _WIDE)
    pool, missing = None, np.zeros((_STRATA, _WIDE))
    if check.floor.grade == "assumed":
        right[:, :, :CELLS] = _by_limit(check.floor.limit)
    else:
        found = _fit(check, counts[:, :, :CELLS], prompt, weight, pairs)
        missed = np.random.default_rng(seed + 2).random(len(weight))
        missed[0] = 1 - (1 - MISSED[0] / sum(MISSED)) ** MISSED[1]  # the quantile of its mean
        shown, found = found.right[0], found.with_missed(missed)
        right[:, :, :CELLS], pool = found.right, Pool.of(found)
        missing[:, :CELLS] = shown - found.right[0]
    known = counts[:, :, :_UNKNOWN]
    total = known.sum(axis=2)
    expected = (known * right[:, :, :_UNKNOWN]).sum(axis=2)
    overall = expected.sum(axis=1) / np.maximum(total.sum(axis=1), 1e-9)
    right[:, :, _UNKNOWN] = (expected + overall[:, None]) / (total + 1.0)
    return right.reshape(len(weight), -1), pool, missing.reshape(-1)


def _by_limit(limit: float) -> Floats:
    """Return 1 for cells at or above the limit without a strong contradiction, 0 for others."""
    at_limit = int(cells(np.array([limit], np.float32), np.zeros(1, np.int8))[0])
    out = np.zeros((LEVELS, CELLS // LEVELS))
    out[:STRONG, at_limit:] = 1.0
    return out.reshape(-1)


def _fit(check: Consistency, counts: Floats, prompt: Ints, weight: Floats, pairs: HitPairs) -> Fit:
    """Fit the mixture per replicate, with the noise of right answers measured on that replicate.

    Answers vary more on some topics than on others, so repeats are weighted to match the topics of
    the hits.
    """
    calm = check.calibration
    cell = cells(calm.similarity, calm.level)
    topics, question = calm.scale.topics, check.log.question
    own = topics.of_question[question[calm.settled.second]]
    held = calm.settled.weight
    repeated = np.bincount(own, held, topics.count)
    served = np.bincount(topics.of_question[question[pairs.matched]], minlength=topics.count)
    served = served * repeated.sum() / max(served.sum(), 1)
    ratio = np.clip((served + _LEAN) / (repeated + _LEAN), 1 / _MOST_MORE, _MOST_MORE)
    noise = weighted(cell, prompt[calm.settled.second], weight, CELLS, held * ratio[own])
    return fit(counts, density(noise), calm.unrelated, calm.detail_pairs)


def _evened(group: npt.NDArray[np.int64]) -> Floats:
    """Return weights of rows so that no group (the hits on one entry) counts more than a few pairs.

    All hits on an entry share its answer, so an odd wording there would look like many wrong hits.
    """
    _, where, size = np.unique(group, return_inverse=True, return_counts=True)
    return np.minimum(1.0, _PAIRS_PER_ENTRY / size[where.reshape(-1)])
