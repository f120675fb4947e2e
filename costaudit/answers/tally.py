"""The shares of one simulated run, with intervals from resampled requests."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from costaudit.answers.blocks import weighted
from costaudit.answers.consistency import Verdicts
from costaudit.answers.logged import Ints
from costaudit.answers.pooling import latent_spread
from costaudit.contracts.grades import Estimate, Grade

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
class Judged:
    """What is known of each pair."""

    verdicts: Verdicts
    place: npt.NDArray[np.int64]  # stratum and cell
    group: npt.NDArray[np.int64]  # of pairs of one question and one entry
    probability: Floats  # of being right


class Tally:
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

    def point(self, row: npt.NDArray[np.int64], judged: Judged, right: Floats) -> RatePoint:
        """Give the rates of one run, whose hits name rows of the judged pairs."""
        hit = row >= 0
        hits = self._count(hit)
        found = row[hit]
        known = int((judged.verdicts.right[found] >= 0).sum())
        steady = None
        if self.steady is not None and self.steady_eligible is not None:
            steady = _share(self._count(hit & self.steady), self.steady_eligible, "simulated")
        valid, unsafe = None, None
        if known or not hit.any():
            counts = weighted(judged.place[found], self.block[hit], self.weight, right.shape[1])
            wrong = hits - (counts * right).sum(axis=1)
            off = 1 - judged.probability[found]
            wrong[0] = off.sum()
            unsure = int((~judged.verdicts.certain[found]).sum())
            valid, unsafe = self._judged(
                hits, wrong, latent_spread(off, judged.group[found]), unsure
            )
        return RatePoint(
            hits=int(hit.sum()),
            judged=known,
            raw_hit_share=_share(hits, self.eligible, "simulated"),
            raw_hit_share_all=_share(hits, self.all, "simulated"),
            steady_hit_share=steady,
            valid_hit_share=valid,
            unsafe_served_share=unsafe,
        )

    def _judged(
        self, hits: Floats, wrong: Floats, latent: float, unsure: int
    ) -> tuple[Estimate, Estimate]:
        """Give the valid and the unsafe share; together they are the raw hits."""
        slack = unsure * (1 - 0.025 ** (1 / unsure)) if unsure else 0.0
        eligible, everyone = np.maximum(self.eligible, 1e-9), np.maximum(self.all, 1e-9)
        right, off = (hits - wrong) / eligible, wrong / everyone
        return (
            _around(right, latent / eligible[0], slack / eligible[0], self.grade),
            _around(off, latent / everyone[0], slack / everyone[0], self.grade),
        )


def _share(part: Floats, whole: Floats, grade: Grade) -> Estimate:
    """Divide per replicate; the interval is the percentile interval of the replicates."""
    shares = part / np.maximum(whole, 1e-9)
    value = float(shares[0])
    if len(shares) == 1:
        return Estimate(value, grade)
    low, high = (float(q) for q in np.quantile(shares[1:], [0.025, 0.975]))
    return Estimate(value, grade, min(low, value), max(high, value))


def _around(shares: Floats, latent: float, slack: float, grade: Grade) -> Estimate:
    """Put a normal interval around a share, at least `slack` to either side.

    Its variance is that of the replicates and what the answers leave open, `latent` squared. Where
    none of many was wrong, replicates don't differ: `slack` is then the exact binomial interval.
    """
    value = float(np.clip(shares[0], 0.0, 1.0))
    if len(shares) == 1:
        return Estimate(value, grade)
    reach = float(max(1.96 * np.hypot(shares[1:].std(ddof=1), latent), slack))
    return Estimate(value, grade, max(0.0, value - reach), min(1.0, value + reach))
