"""The rates of identical questions where answers are known by their ids only."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from costaudit.answers.blocks import resample, weighted
from costaudit.answers.consistency import Verdicts
from costaudit.answers.hit_pairs import HitPairs
from costaudit.answers.logged import Ints
from costaudit.answers.tally import Bools, Floats, Judged, RatePoint, Tally

_SAME, _OTHER, _UNKNOWN = range(3)


def rates_by_id(
    answer: Ints,
    served: Ints,
    *,
    eligible: Bools,
    block: Ints,
    steady: Bools | None = None,
    replicates: int = 200,
    seed: int = 0,
) -> tuple[RatePoint, ...]:
    """Estimate the rates of each run in `served` (runs, n); see HitPairs.of for its values.

    `answer` numbers each request's answer, -1 where none was logged. Equal answers are right. Of
    others it can't be told whether they say the same in other words: they count as wrong, and the
    interval goes from none of them being wrong to the upper bound on all of them.
    """
    pairs = HitPairs.of(served)
    own, matched = answer[pairs.asked], answer[pairs.matched]
    known = (own >= 0) & (matched >= 0)
    place = np.where(known, np.where(own == matched, _SAME, _OTHER), _UNKNOWN).astype(np.int64)
    blocks = int(block.max()) + 1 if len(block) else 1
    weight = resample(blocks, replicates, seed)
    right = _right_by_place(place, block[pairs.asked], weight)
    judged = Judged(
        Verdicts(
            right=np.where(known, place == _SAME, -1).astype(np.int8),
            similarity=np.where(place == _SAME, 1.0, np.nan).astype(np.float32),
            contradicts=np.zeros(len(place), np.bool_),
            certain=known,
            flags=np.zeros(len(place), np.uint32),
        ),
        place,
        group=np.arange(len(place)),
        probability=right[0, place],
    )
    tally = Tally(block, weight, eligible, steady, "assumed")
    return tuple(_widened(tally.point(row, judged, right)) for row in pairs.row)


def _right_by_place(place: npt.NDArray[np.int64], block: Ints, weight: Floats) -> Floats:
    """Give the share of right pairs by place, (replicates + 1, 3); unknown ones are like the rest.

    `block` is the bootstrap block of each pair.
    """
    counts = weighted(place, block, weight, _UNKNOWN + 1)
    known = counts[:, _SAME] + counts[:, _OTHER]
    right = np.zeros_like(counts)
    right[:, _SAME] = 1.0
    right[:, _UNKNOWN] = counts[:, _SAME] / np.maximum(known, 1e-9)
    return right


def _widened(point: RatePoint) -> RatePoint:
    """Let every answer that differs be right after all, at the end of the interval where it is."""
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
