"""Estimate raw hits, valid hits and wrong answers served per threshold, with intervals."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from costaudit.answers.calibration import LEVELS, STRONG
from costaudit.answers.consistency import Consistency, Verdicts
from costaudit.answers.logged import Ints
from costaudit.answers.mixture.answer_sets import NULL, AnswerSets, evidence
from costaudit.answers.mixture.mixture import (
    CELLS,
    MISSED,
    Fit,
    Missed,
    Places,
    Prior,
    cells,
    density,
    fit,
    pooled,
)
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
_CLASSES = len(NULL)


@dataclass(frozen=True)
class Rated:
    """The rates of some runs, and what they are computed from."""

    pairs: HitPairs
    verdicts: Verdicts  # by pair
    probability: Floats  # (pairs,): probability of being right, under the fitted mixture
    place: npt.NDArray[np.int64]  # (pairs,): number of the stratum, the cell and the evidence
    fitted: "Fitted"
    judged: Judged
    right_at: Floats  # (replicates + 1, places of `judged`): probability of being right

    @cached_property
    def points(self) -> tuple[RatePoint, ...]:
        """The rates of each run."""
        tally = self.fitted.tally
        return tuple(tally.point(row, self.judged, self.right_at) for row in self.pairs.row)

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
class Model:
    """The probability of being right at each place; the first axis of arrays is the replicate."""

    fit: Fit | None  # None if there are too few repeats to measure the noise
    alone: Floats  # (CELLS,): probability by cell if there is no fit
    missed: Floats  # (replicates + 1,): quantiles of the share of wrong details that nobody sees
    known: Missed  # about that share
    unknown: Floats  # (replicates + 1, strata): probability for pairs that can't be compared

    def right(self, place: npt.NDArray[np.int64]) -> Floats:
        """Return the probability of being right of a single pair, (replicates + 1, places)."""
        at = _split(place)
        out = np.zeros((len(self.unknown), len(place)))
        out[:, at.cell == _RIGHT] = 1.0
        unknown = at.cell == _UNKNOWN
        out[:, unknown] = self.unknown[:, at.stratum[unknown]]
        rows = np.flatnonzero(at.cell < CELLS)
        if self.fit is None:
            out[:, rows] = self.alone[at.cell[rows]]
        else:
            inner = _at(at, rows)
            unseen = self.fit.unseen_at(inner, self.missed, self.known)
            out[:, rows] = self.fit.right_at(inner) * (1 - unseen)
        return out

    def missed_at(self, place: npt.NDArray[np.int64]) -> Floats:
        """Return the part of that probability that was subtracted for details that nobody sees."""
        at, out = _split(place), np.zeros(len(place))
        rows = np.flatnonzero(at.cell < CELLS)
        if self.fit is not None:
            inner, one = _at(at, rows), self.fit.first()
            unseen = one.unseen_at(inner, self.missed[:1], self.known)[0]
            out[rows] = one.right_at(inner)[0] * unseen
        return out

    def kinds(self, place: npt.NDArray[np.int64]) -> Floats:
        """Return how probable the kinds of pairs are at each place, (3, places).

        They are wrong details that no detector sees, other wrong details, and other topics; what
        is left is right. All are 0 outside the cells, where nothing is left to a probability.
        """
        at, out = _split(place), np.zeros((3, len(place)))
        rows = np.flatnonzero(at.cell < CELLS)
        if self.fit is not None and len(rows):
            inner, one = _at(at, rows), self.fit.first()
            right = one.right_at(inner)[0]
            topic = one.topic[0, inner.stratum, inner.cell]
            others = np.maximum(1 - one.right[0, inner.stratum, inner.cell], 1e-12)
            apart = (1 - right) * np.clip(topic / others, 0, 1)
            out[0, rows] = right * one.unseen_at(inner, self.missed[:1], self.known)[0]
            out[1, rows], out[2, rows] = 1 - right - apart, apart
        return out

    def pooled(self, place: npt.NDArray[np.int64], group: npt.NDArray[np.int64]) -> Floats:
        """Return each pair's probability with the evidence of its group.

        nan outside the cells, and for pairs with the same whole prompt: that they share a topic
        needs no evidence.
        """
        at, out = _split(place), np.full(len(place), np.nan)
        rows = np.flatnonzero((at.cell < CELLS) & (at.stratum != _SAME_PROMPT))
        if self.fit is not None and len(rows):
            inner, one = _at(at, rows), self.fit.first()  # all replicates of all pairs are much
            unseen = one.unseen_at(inner, self.missed[:1], self.known)[0]
            out[rows] = pooled(one, inner, group[rows]) * (1 - unseen)
        return out


def _split(place: npt.NDArray[np.int64]) -> Places:
    """Return the parts of a place's number."""
    rest, told = np.divmod(place, _CLASSES)
    stratum, cell = np.divmod(rest, _WIDE)
    return Places(stratum, cell, told)


def _at(at: Places, rows: npt.NDArray[np.int64]) -> Places:
    return Places(at.stratum[rows], at.cell[rows], at.evidence[rows])


@dataclass(frozen=True)
class Fitted:
    """The mixture fitted to the hits of some runs.

    It can also rate other runs on the same log and scope, which may have too few hits to show what
    right and wrong ones look like.
    """

    check: Consistency
    tally: Tally
    sets: AnswerSets
    model: Model

    def within(self, counted: npt.NDArray[np.bool_]) -> "Fitted":
        """Return the same mixture with rates of a part of the requests; `counted`: (n,)."""
        population = replace(self.tally.population, counted=counted)
        return replace(self, tally=Tally(population, self.tally.weight, self.tally.grade))

    def rates(self, served: Ints) -> Rated:
        """Estimate the rates of each run in `served` (runs, n); see HitPairs.of for its values."""
        pairs = HitPairs.of(served)
        verdicts = self.check.judge(pairs.asked, pairs.matched)
        return self.rated(pairs, verdicts, _places(self.check, self.sets, pairs, verdicts))

    def verdicts_on(self, asked: Ints, matched: Ints) -> npt.NDArray[np.int8]:
        """Return the likelier verdict on each pair alone: 1 or 0, -1 where it can't be compared."""
        found = self.check.judge(asked, matched)
        pairs = HitPairs(asked, matched, np.empty((0, len(asked)), np.int64))
        used, where = np.unique(_places(self.check, self.sets, pairs, found), return_inverse=True)
        likely = (self.model.right(used)[0] >= 0.5).astype(np.int8)
        return np.where(found.right < 0, np.int8(-1), likely[where.reshape(-1)])

    def rated(self, pairs: HitPairs, verdicts: Verdicts, place: npt.NDArray[np.int64]) -> Rated:
        """Estimate the rates of runs whose hits already have verdicts and places."""
        log, model = self.check.log, self.model
        key = log.question[pairs.asked].astype(np.int64) * len(log) + pairs.matched
        group = np.unique(key, return_inverse=True)[1].reshape(-1)
        used, where = np.unique(place, return_inverse=True)
        right, where = model.right(used), where.reshape(-1)
        probability = right[0, where]
        if model.fit is not None:
            together = model.pooled(place, group)
            probability = np.where(np.isnan(together), probability, together)
            bias = right[1:].mean(axis=0) - right[0] if len(right) > 1 else np.zeros(len(used))
            probability = np.clip(probability - bias[where], 0.0, 1.0)
        open_ = verdicts.right < 0
        if model.fit is None:  # without repeats the limit is a guess
            open_ |= ~verdicts.certain
        missed = np.minimum(model.missed_at(used)[where], 1 - probability)
        missed = np.where(open_, 0.0, missed)
        judged = Judged(verdicts, where, group, probability, missed, open_)
        return Rated(pairs, verdicts, probability, place, self, judged, right)


def rates(
    check: Consistency,
    served: Ints,
    population: Population,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
    missed: Missed = MISSED,
) -> Rated:
    """Estimate the rates of each run in `served` (runs, n); see HitPairs.of for its values.

    Each replicate resamples blocks, and then measures the noise and fits the mixture again.
    `missed` is what is known about wrong details that no detector sees.
    """
    pairs = HitPairs.of(served)
    verdicts = check.judge(pairs.asked, pairs.matched)
    weight = population.weights(replicates, seed)
    asked = np.union1d(pairs.asked, pairs.matched)
    sets = AnswerSets(check.log, asked[~check.wording.echoes[asked]])
    place = _places(check, sets, pairs, verdicts)
    model = _modelled(check, pairs, place, resampled=(replicates, seed), missed=missed)
    tally = Tally(population, weight, check.floor.grade)
    return Fitted(check, tally, sets, model).rated(pairs, verdicts, place)


def _places(
    check: Consistency, sets: AnswerSets, pairs: HitPairs, verdicts: Verdicts
) -> npt.NDArray[np.int64]:
    """Return the number of each pair's stratum, cell and evidence."""
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
    told = np.zeros(len(cell), np.int64)
    told[unsure] = evidence(sets.p_values(pairs.asked[unsure], pairs.matched[unsure]))
    return np.asarray((stratum * _WIDE + cell) * _CLASSES + told, np.int64)


def _modelled(
    check: Consistency,
    pairs: HitPairs,
    place: npt.NDArray[np.int64],
    *,
    resampled: tuple[int, int],
    missed: Missed,
) -> Model:
    """Fit the mixture to the log and to each replicate.

    Prompts are resampled, because answers to one prompt resemble each other. The hits and the
    repeats that measure the noise use the same draw. `resampled`: number of replicates, and seed.
    """
    from scipy.special import betainc

    log, (replicates, seed) = check.log, resampled
    prompt = deal(log.whole_prompt)
    weight = resample(int(prompt.max()) + 1, replicates, seed + 1)
    used, where = np.unique(place, return_inverse=True)
    held = _evened(pairs.matched.astype(np.int64) * _STRATA + _split(place).stratum)
    counts = weighted(where.reshape(-1), prompt[pairs.asked], weight, len(used), held)
    at = _split(used)
    found = None
    if check.floor.grade != "assumed":
        rows = np.flatnonzero(at.cell < CELLS)
        found = _fit(check, (counts[:, rows], _at(at, rows)), prompt, weight, pairs)
    quantile = np.random.default_rng(seed + 2).random(len(weight))
    mean = missed.missed / (missed.missed + missed.seen)
    quantile[0] = betainc(missed.missed, missed.seen, mean)
    nothing = np.zeros((len(weight), _STRATA))
    model = Model(found, _by_limit(check.floor.limit), quantile, missed, nothing)
    known = np.where(at.cell < _UNKNOWN, counts, 0.0)
    stratum = np.eye(_STRATA)[at.stratum]
    total, expected = known @ stratum, (known * model.right(used)) @ stratum
    overall = expected.sum(axis=1) / np.maximum(total.sum(axis=1), 1e-9)
    return replace(model, unknown=(expected + overall[:, None]) / (total + 1.0))


def _by_limit(limit: float) -> Floats:
    """Return 1 for cells at or above the limit without a strong contradiction, 0 for others."""
    at_limit = int(cells(np.array([limit], np.float32), np.zeros(1, np.int8))[0])
    out = np.zeros((LEVELS, CELLS // LEVELS))
    out[:STRONG, at_limit:] = 1.0
    return out.reshape(-1)


def _fit(
    check: Consistency,
    counted: tuple[Floats, Places],
    prompt: Ints,
    weight: Floats,
    pairs: HitPairs,
) -> Fit:
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
    counts, at = counted
    return fit(counts, at, density(noise), Prior(_STRATA, calm.unrelated, calm.detail_pairs))


def _evened(group: npt.NDArray[np.int64]) -> Floats:
    """Return weights of rows so that no group (the hits on one entry) counts more than a few pairs.

    All hits on an entry share its answer, so an odd wording there would look like many wrong hits.
    """
    _, where, size = np.unique(group, return_inverse=True, return_counts=True)
    return np.minimum(1.0, _PAIRS_PER_ENTRY / size[where.reshape(-1)])
