"""Which pairs a judge sees: where a verdict narrows the interval most, and where the money is."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from costaudit.answers.consistency import Consistency
from costaudit.answers.kinds import TEXT
from costaudit.answers.logged import Ints

Floats = npt.NDArray[np.float64]

_EDGES = np.array([0.05, 0.3, 0.7, 0.95])  # of the probability of being right
_NEAR = 0.03  # similarity above the threshold that still counts as near it
_NEAR_BOOST = 1.5
_LEAST = 4  # pairs per stratum, so that its spread can be measured
_UNRELATED = 0.3  # similarity of questions below which answers to them are wrong for each other
_DOUBT = 0.02  # variance that even a confident comparison may hide


@dataclass(frozen=True)
class Sample:
    """A stratified sample of hits without replacement."""

    rows: npt.NDArray[np.int64]  # of the population, in the order to be judged
    stratum: npt.NDArray[np.int32]  # of every member of the population
    drawn: npt.NDArray[np.int64]  # pairs of each stratum


@dataclass(frozen=True)
class Controls:
    """Pairs of requests whose truth is known."""

    asked: Ints
    matched: Ints
    right: npt.NDArray[np.bool_]


def sample_pairs(
    probability: Floats,
    similarity: npt.NDArray[np.float32],
    value: Floats,
    *,
    threshold: float,
    size: int,
    seed: int = 0,
) -> Sample:
    """Draw `size` hits, stratified by the probability of being right and nearness to the threshold.

    probability, similarity (of the questions) and value (USD or counts) are per hit. A stratum's
    part follows Neyman's rule, with its share of hits averaged with its share of value. The
    verdicts are to be asked for in the order of `rows`: each prefix is spread over all strata.
    """
    near = similarity <= threshold + _NEAR
    kind = np.searchsorted(_EDGES, probability, "right") * 2 + near
    stratum = np.unique(kind, return_inverse=True)[1].reshape(-1).astype(np.int32)
    members = np.bincount(stratum).astype(np.float64)
    spread = np.bincount(stratum, probability * (1 - probability)) / members
    weight = members / members.sum() + np.bincount(stratum, value) / max(value.sum(), 1e-12)
    boost = np.where(np.bincount(stratum, near) > 0, _NEAR_BOOST, 1.0)
    drawn = _allocate(weight * boost * np.sqrt(spread + _DOUBT), members, size)
    rng = np.random.default_rng(seed)
    rows, turn = [], []
    for one, count in enumerate(drawn.tolist()):
        found = rng.permutation(np.flatnonzero(stratum == one))[:count]
        rows.append(found)
        turn.append((np.arange(count) + rng.random(count)) / max(count, 1))
    order = np.argsort(np.concatenate(turn), kind="stable")
    return Sample(np.concatenate(rows)[order], stratum, drawn)


def _allocate(want: Floats, members: Floats, size: int) -> npt.NDArray[np.int64]:
    """Share `size` draws out in proportion, at least a few a stratum and at most its members."""
    size = min(size, int(members.sum()))
    drawn = np.minimum(members, min(_LEAST, size // len(members)))
    while (left := size - drawn.sum()) >= 1:
        room = (drawn < members) * want
        if not room.any():
            break
        more = np.minimum(np.floor(left * room / room.sum()), members - drawn)
        if not more.any():
            more = np.zeros_like(drawn)
            more[np.argmax(room / (drawn + 1))] = 1
        drawn += more
    return drawn.astype(np.int64)


def control_pairs(check: Consistency, each: int, seed: int = 0) -> Controls:
    """Choose pairs whose truth is known, to measure the judge itself.

    Right are answers to one prompt asked twice at a short gap, unless its answer is live data;
    wrong are answers to questions drawn at random that have little in common.
    """
    rng = np.random.default_rng(seed)
    log, settled = check.log, check.calibration.settled
    calm = np.flatnonzero(~check.calibration.contradicts)
    rows = rng.permutation(calm)[:each]
    answered = np.flatnonzero((log.answer >= 0) & (log.question >= 0) & (log.kind == TEXT))
    first, second = rng.choice(answered, (2, 20 * each)).astype(np.int32)
    far = log.question_similarity(first, second) < _UNRELATED
    return Controls(
        asked=np.concatenate([settled.second[rows], first[far][:each]]),
        matched=np.concatenate([settled.first[rows], second[far][:each]]),
        right=np.repeat([True, False], [len(rows), min(each, int(far.sum()))]),
    )
