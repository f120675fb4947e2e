"""Estimate the share of right hits from the similarity and the contradictions of their answers.

Pairs of answers are a mixture of three kinds. Right pairs look like two answers to one prompt, so
repeats show their distribution. Pairs with wrong details are mostly as similar as right pairs, but
contradict each other; the shares of the levels of contradiction are fitted. Pairs on different
topics are less similar: a normal distribution is fitted to their Fisher's z. Expectation
maximisation estimates the weights of the kinds per stratum of hits. Some wrong details escape all
detectors: see `MISSED`.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from costaudit.answers.calibration import CLEAR_DETAILS, LEVELS
from costaudit.answers.mixture.answer_sets import NULL
from costaudit.engine.pool import default_workers

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

_LOW, _HIGH, _STEP = -1.0, 3.2, 0.05
GRID: Floats = np.arange(_LOW, _HIGH, _STEP)  # Fisher's z: atanh of the cosine
CELLS = LEVELS * len(GRID)  # a cell is a level of contradiction and a point of the grid
_BANDWIDTH = 0.05  # bandwidth in z of the kernel that smooths the repeats
_PRIOR = 1.0  # pseudo-pairs per stratum, so that an empty one has shares
_PSEUDO, _PSEUDO_MEAN = 10.0, 60.0  # pseudo-pairs, see `fit`
_PART = 16  # replicates that a thread fits at a time
_UNSEEN = 0.5  # pseudo-pairs added to each level, so that no level has zero density
_BROAD = 0.05  # share of wrong details that may have any similarity
_LEAST_SPREAD = 0.02  # minimum variance in z of pairs on different topics


@dataclass(frozen=True)
class Places:
    """Where pairs lie: rows of one length."""

    stratum: Longs
    cell: Longs  # level of contradiction and point of the grid
    evidence: Longs  # class of evidence from the sets of answers, see `answer_sets.evidence`


@dataclass(frozen=True)
class Missed:
    """What is known about wrong details that no detector sees, as numbers of verdicts.

    The share missed of all wrong details has the beta distribution of the first two. Of pairs that
    look right, a share with the beta distribution of the last two is wrong for no known reason.
    """

    missed: float = 1.0
    seen: float = 19.0
    unexplained: float = 0.0
    explained: float = 20.0


MISSED = Missed()  # without verdicts


@dataclass(frozen=True)
class Fit:
    """A fitted mixture; the first axis of each array is the replicate of the data.

    The first three arrays leave the evidence from sets of answers out.
    """

    right: Floats  # (replicates, strata, CELLS): probability that a pair in the cell is right
    topic: Floats  # (replicates, strata, CELLS): probability that its answers are on other topics
    data: Floats  # (replicates, strata, CELLS): probability that it holds another user's data
    share: Floats  # (replicates, strata, KINDS): right, wrong details, different topics, data
    ratio: Floats  # (replicates, classes): likelihood ratio of evidence, wrong to right prompts

    def first(self) -> "Fit":
        """Return the fit to the log as it is, which is the first replicate."""
        parts = (self.right, self.topic, self.data, self.share, self.ratio)
        return Fit(*(part[:1] for part in parts))

    def right_at(self, at: Places) -> Floats:
        """Return the probability of being right at each place, (replicates, places)."""
        right, data = self.right[:, at.stratum, at.cell], self.data[:, at.stratum, at.cell]
        apart = (1 - right - data) * self.ratio[:, at.evidence]
        return np.asarray(right / np.maximum(right + data + apart, 1e-300))

    def unseen_at(self, at: Places, missed: Floats, known: Missed = MISSED) -> Floats:
        """Return the share of pairs that look right but have undetected wrong details.

        missed: (replicates,), quantiles of what is `known`. The distribution of the share missed is
        cut off where all pairs that look right would be wrong: if nearly all hits are wrong
        details, they say nothing about the few that look right. The result is (replicates, places).
        """
        from scipy.special import betainc, betaincinv

        wrong = self.share[:, :, 1] + self.share[:, :, 3]
        seen = wrong / np.maximum(self.share[:, :, 0], 1e-12)
        counts = known.missed, known.seen
        left = betainc(*counts, 1 / (1 + np.maximum(seen, 1e-12)))  # mass below the cut
        share = betaincinv(*counts, missed[:, None] * left)
        odds = share / np.maximum(1 - share, 1e-12)  # of an unseen to a seen one
        unseen = np.clip(seen * odds, 0, 1)[:, at.stratum]
        if known.unexplained:
            more = betaincinv(known.unexplained, known.explained, missed)[:, None]
            unseen = 1 - (1 - unseen) * (1 - more)
        return np.asarray(np.clip(unseen * self.ratio[:, at.evidence], 0, 1))


@dataclass(frozen=True)
class Prior:
    """Where the fit starts, and what it is pulled towards."""

    strata: int
    unrelated: tuple[float, float]  # mean and spread of z over answers to unrelated questions
    detail: tuple[float, ...] = CLEAR_DETAILS  # pseudo-pairs of wrong details by level


def cells(
    similarity: npt.NDArray[np.float32], level: npt.NDArray[np.int8]
) -> npt.NDArray[np.int64]:
    """Return the cell of each pair of answers."""
    z = np.arctanh(np.clip(similarity.astype(np.float64), -0.999, 0.996))
    place = np.clip(np.rint((z - _LOW) / _STEP), 0, len(GRID) - 1).astype(np.int64)
    return place + len(GRID) * level.astype(np.int64)


def density(counts: Floats) -> Floats:
    """Smooth counts per cell into the density of right pairs; both are (replicates, CELLS)."""
    reach = int(np.ceil(4 * _BANDWIDTH / _STEP))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * _STEP / _BANDWIDTH) ** 2)
    kernel /= kernel.sum()
    split = counts.reshape(len(counts), LEVELS, len(GRID))
    margin = split.sum(axis=1, keepdims=True)
    pairs = np.maximum(margin.sum(axis=2, keepdims=True), 1e-9)
    split = split + _UNSEEN * margin / pairs  # no level is ruled out by a few pairs
    padded = np.pad(split, ((0, 0), (0, 0), (reach, reach)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(kernel), axis=2)
    spread = (windows @ kernel) / pairs + 1e-7 / CELLS
    out: Floats = (spread / spread.sum(axis=(1, 2), keepdims=True)).reshape(len(counts), CELLS)
    return out


def fit(
    counts: Floats,
    at: Places,
    right: Floats,
    prior: Prior,
    rounds: int = 80,
) -> Fit:
    """Fit the mixture to counts (replicates, places), given the density of right pairs.

    `right`: (replicates, CELLS), that density. `rounds`: iterations of expectation maximisation.
    Pseudo-pairs keep the fit stable where hardly any hit is wrong. They pull the spread and the
    overall mean of different topics towards the start, and each stratum's mean towards the overall
    mean.
    """
    from costaudit.answers.mixture.kernels import KINDS, rounds_of

    many, strata = len(counts), prior.strata
    marginal = spread_details(right.reshape(many, LEVELS, len(GRID)).sum(axis=1))
    weights = np.empty((many, strata, KINDS))
    mean, spread = np.empty((many, strata)), np.empty(many)
    levels: Floats = np.empty((many, 2, LEVELS))  # shares for wrong details, for different topics
    apart = np.empty((many, len(NULL)))
    pseudo = np.array([_PRIOR, _PSEUDO, _PSEUDO_MEAN, _LEAST_SPREAD, *prior.detail])
    place = np.stack([at.stratum, *divmod(at.cell, len(GRID)), at.evidence], axis=1)

    def rounds_on(part: slice) -> None:
        rounds_of(
            counts[part], place, right[part], marginal[part], GRID, np.array(prior.unrelated),
            pseudo, NULL, weights[part], mean[part], spread[part], levels[part], apart[part],
            rounds,
        )  # fmt: skip

    parts = [slice(start, start + _PART) for start in range(0, many, _PART)]
    with ThreadPoolExecutor(default_workers()) as pool:
        list(pool.map(rounds_on, parts))
    topic = weights[:, :, 2:3] * _topics(mean, spread, levels[:, 1])
    details = (levels[:, 0, :, None] * marginal[:, None]).reshape(many, CELLS)
    data = np.zeros((many, LEVELS, len(GRID)))
    data[:, -1] = marginal
    data = weights[:, :, 3:] * data.reshape(many, 1, CELLS)
    total = (
        weights[:, :, :1] * right[:, None] + weights[:, :, 1:2] * details[:, None] + topic + data
    )
    return Fit(
        right=_share(weights[:, :, :1] * right[:, None], total),
        topic=_share(topic, total),
        data=_share(data, total),
        share=weights,
        ratio=apart / NULL,
    )


def spread_details(marginal: Floats) -> Floats:
    """Return the density over z of pairs with wrong details: that of right ones, but wider.

    A wrong detail may lower the similarity below that of any repeat.
    """
    out: Floats = (1 - _BROAD) * marginal + _BROAD / len(GRID)
    return out


def _share(part: Floats, total: Floats) -> Floats:
    """Divide; the result is 0 where the total is 0."""
    return np.divide(part, total, out=np.zeros_like(total), where=total > 0)


def _topics(mean: Floats, spread: Floats, levels: Floats) -> Floats:
    """Return the density of answers on different topics, (replicates, strata, CELLS)."""
    bell = np.exp(-0.5 * ((GRID - mean[:, :, None]) / spread[:, None, None]) ** 2) + 1e-12
    bell /= bell.sum(axis=2, keepdims=True)
    out: Floats = levels[:, None, :, None] * bell[:, :, None, :]
    return out.reshape(*mean.shape, CELLS)


ALIKE = 0.3  # correlation of the evidence from hits of one group; chosen on BANKING77 streams
_MOST = 4.0  # maximum log odds that one pair of answers may add


def pooled(fit: Fit, at: Places, group: Longs) -> Floats:
    """Return each pair's probability of being right, with the evidence of its whole group.

    A group has the hits of one question on one entry. Whether both share a topic is one fact, and
    each hit's answer is evidence on it. n answers count as n / (1 + (n - 1) ALIKE), because the
    entry's answer is in all of them; the sets of answers to both prompts count once. Whether a
    detail is wrong is decided for each pair alone. All pairs of a group are in one stratum. The fit
    is that to the log as it is, which is the first replicate.
    """
    tiny = 1e-12
    topic = np.clip(fit.topic[0][at.stratum, at.cell], tiny, 1 - tiny)
    share = np.clip(fit.share[0, at.stratum, 2], tiny, 1 - tiny)
    prior = np.log((1 - share) / share)
    said = np.clip(np.log((1 - topic) / topic) - prior, -_MOST, _MOST)
    members = np.maximum(np.bincount(group), 1)
    pooled = np.bincount(group, said) / (1 + (members - 1) * ALIKE)
    sets = -np.bincount(group, np.log(fit.ratio[0, at.evidence])) / members
    same = 1 / (1 + np.exp(-(prior + (pooled + sets)[group])))
    right, data = fit.right[0][at.stratum, at.cell], fit.data[0][at.stratum, at.cell]
    detail = np.maximum(1 - topic - right - data, 0.0) * fit.ratio[0, at.evidence]
    return np.asarray(same * right / np.maximum(right + data + detail, tiny))


def latent_spread(wrong: Floats, group: Longs) -> float:
    """Return the standard deviation of the number of wrong hits, if groups are wrong as a whole.

    `wrong` is each hit's probability of being wrong. This uncertainty about each group remains,
    however many requests there are.
    """
    hits = np.bincount(group)
    off = np.clip(np.bincount(group, wrong) / np.maximum(hits, 1), 0.0, 1.0)
    return float(np.sqrt((hits**2 * off * (1 - off)).sum()))
