"""Pair requests with the same whole prompt, to see how much answers to one prompt differ."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from costaudit.answers.kinds import CODE, JSON, REFUSAL, TEXT
from costaudit.answers.logged import Ints, Logged

_JUDGED = (TEXT, REFUSAL, JSON, CODE)
_PAIRS_PER_PROMPT = 3.0  # maximum total weight of one prompt, in pairs
_LAGS = 5  # earlier requests that each one is paired with
_SIZES = (3, 5, 10)  # minimum number of requests of a prompt for size classes 1 to 3


@dataclass(frozen=True)
class Repeats:
    """Pairs of requests with the same whole prompt, at most a few repeats apart."""

    first: Ints
    second: Ints  # the later request
    prompt: Ints  # one number per whole prompt, without gaps
    gap_s: npt.NDArray[np.float64]  # nan without a time
    same_user: npt.NDArray[np.bool_]  # both users are known, and equal
    size: npt.NDArray[np.int8]  # size class of the prompt, by `_SIZES`

    def __len__(self) -> int:
        return len(self.first)

    @property
    def weight(self) -> npt.NDArray[np.float64]:
        """Weight of each pair; all pairs of a prompt together count as a few pairs at most."""
        if not len(self):
            return np.zeros(0)
        return np.minimum(1.0, _PAIRS_PER_PROMPT / np.bincount(self.prompt)[self.prompt])

    def where(self, keep: npt.NDArray[np.bool_]) -> "Repeats":
        """Return the pairs selected by a mask."""
        return Repeats(
            self.first[keep],
            self.second[keep],
            self.prompt[keep],
            self.gap_s[keep],
            self.same_user[keep],
            self.size[keep],
        )


def repeats(log: Logged) -> Repeats:
    """Pair each answered request with the last few answered requests that have its whole prompt.

    If the log names users, also pair it with the last few of these by the same user: only such
    pairs, which are rare, separate noise from differences between users.
    """
    answered = np.flatnonzero((log.answer >= 0) & (log.question >= 0) & np.isin(log.kind, _JUDGED))
    prompt = log.whole_prompt[answered].astype(np.int64)
    found = [_lagged(answered, prompt)]
    known = log.user[answered] >= 0
    if known.any():
        people = int(log.user.max()) + 1
        key = prompt[known] * people + log.user[answered[known]]
        found.append(_lagged(answered[known], key))
    pairs = np.unique(np.concatenate(found, axis=1), axis=1)
    first, second = pairs.astype(np.int32)
    timed = (log.seconds[first] >= 0) & (log.seconds[second] >= 0)
    gap = np.where(timed, log.seconds[second] - log.seconds[first], np.nan)
    _, number = np.unique(log.whole_prompt[first], return_inverse=True)
    same = (log.user[first] >= 0) & (log.user[first] == log.user[second])
    asked = np.bincount(log.whole_prompt[answered])[log.whole_prompt[first]]
    size = np.searchsorted(_SIZES, asked, "right").astype(np.int8)
    return Repeats(first, second, number.reshape(-1).astype(np.int32), gap, same, size)


def _lagged(rows: npt.NDArray[np.int64], key: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return pairs of rows with equal keys, at most `_LAGS` such rows apart; int64 (2, pairs)."""
    order = np.argsort(key, kind="stable")
    rows, key = rows[order], key[order]
    starts = [np.flatnonzero(key[lag:] == key[:-lag]) for lag in range(1, _LAGS + 1)]
    first = np.concatenate([rows[start] for start in starts])
    second = np.concatenate([rows[start + lag] for lag, start in enumerate(starts, 1)])
    return np.stack([first, second])
