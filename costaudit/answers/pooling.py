"""Hits of one question on one entry are right or wrong together: what their answers say, pooled."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from costaudit.answers.mixture import CELLS, Fit

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

ALIKE = 0.3  # correlation of what the hits of one group say; chosen on BANKING77 streams
_MOST = 4.0  # log odds that one pair of answers may add


@dataclass(frozen=True)
class Pool:
    """A fitted mixture, read group by group.

    Whether question and entry are on one topic is the same for all hits of a group, so their
    answers are evidence for one thing; n of them count as n / (1 + (n - 1) ALIKE), because they
    share the entry's answer. Whether a detail is wrong stays a matter of each pair of answers.
    """

    right: Floats  # (strata, CELLS): probability that a pair in the cell is right, by itself
    topic: Floats  # (strata, CELLS): that its answers are on different topics
    share: Floats  # (strata,): of pairs on different topics

    @classmethod
    def of(cls, fit: Fit) -> "Pool":
        """Read the fit to the log as it is, the first replicate."""
        tiny = 1e-12
        return cls(
            fit.right[0],
            np.clip(fit.topic[0], tiny, 1 - tiny),
            np.clip(fit.share[0, :, 2], tiny, 1 - tiny),
        )

    def right_of(self, stratum: Places, cell: Places, group: Places) -> Floats:
        """Give the probability of being right per pair; nan for pairs that stand in no cell.

        The pairs of a group are of one stratum.
        """
        out = np.full(len(cell), np.nan)
        rows = np.flatnonzero(cell < CELLS)
        if not len(rows):
            return out
        stratum, cell, group = stratum[rows], cell[rows], group[rows]
        topic, share = self.topic[stratum, cell], self.share[stratum]
        prior = np.log((1 - share) / share)
        said = np.clip(np.log((1 - topic) / topic) - prior, -_MOST, _MOST)
        members = np.bincount(group)
        pooled = np.bincount(group, said) / (1 + np.maximum(members - 1, 0) * ALIKE)
        same = 1 / (1 + np.exp(-(prior + pooled[group])))
        out[rows] = same * self.right[stratum, cell] / (1 - topic)
        return out


def latent_spread(wrong: Floats, group: Places) -> float:
    """Give the standard deviation of how many hits are wrong, whose groups are each right or wrong.

    `wrong` is the probability per hit. What is known of each group leaves that much open, however
    many requests there are.
    """
    hits = np.bincount(group)
    off = np.clip(np.bincount(group, wrong) / np.maximum(hits, 1), 0.0, 1.0)
    return float(np.sqrt((hits**2 * off * (1 - off)).sum()))
