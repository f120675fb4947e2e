"""Identical prompts asked again: what they say about answers when nothing is wrong."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from costaudit.answers.kinds import CODE, JSON, REFUSAL, TEXT
from costaudit.answers.logged import Ints, Logged

_JUDGED = (TEXT, REFUSAL, JSON, CODE)
_PAIRS_PER_PROMPT = 3.0  # what a favourite prompt may weigh
_LAGS = 5  # a request is paired with this many earlier ones; more would let topics drift


@dataclass(frozen=True)
class Repeats:
    """Pairs of requests with the same prompt in the same scope, a few repeats apart at most.

    Pairs of one prompt stand together.
    """

    first: Ints
    second: Ints  # the later request
    prompt: Ints  # one number per (scope, question)
    gap_s: npt.NDArray[np.float64]  # nan where the log has no time

    def __len__(self) -> int:
        return len(self.first)

    @property
    def weight(self) -> npt.NDArray[np.float64]:
        """Weight of each pair, so that no prompt counts for more than a few pairs."""
        if not len(self):
            return np.zeros(0)
        return np.minimum(1.0, _PAIRS_PER_PROMPT / np.bincount(self.prompt)[self.prompt])

    def where(self, keep: npt.NDArray[np.bool_]) -> "Repeats":
        """Keep some of the pairs."""
        return Repeats(self.first[keep], self.second[keep], self.prompt[keep], self.gap_s[keep])


def repeats(log: Logged) -> Repeats:
    """Pair each answered request with the last few answered ones of the same prompt and scope."""
    answered = np.flatnonzero((log.answer >= 0) & (log.question >= 0) & np.isin(log.kind, _JUDGED))
    questions = max(len(log.questions), 1)
    key = log.scope[answered].astype(np.int64) * questions + log.question[answered]
    by_prompt = np.argsort(key, kind="stable")
    ordered, key = answered[by_prompt], key[by_prompt]
    lags = [np.flatnonzero(key[lag:] == key[:-lag]) for lag in range(1, _LAGS + 1)]
    start = np.concatenate(lags)
    lag = np.repeat(np.arange(1, _LAGS + 1), [len(found) for found in lags])
    start, lag = start[order := np.argsort(start, kind="stable")], lag[order]
    first, second = ordered[start], ordered[start + lag]
    _, prompt = np.unique(key[start], return_inverse=True)
    timed = (log.seconds[first] >= 0) & (log.seconds[second] >= 0)
    gap = np.where(timed, log.seconds[second] - log.seconds[first], np.nan)
    return Repeats(
        first.astype(np.int32), second.astype(np.int32), prompt.astype(np.int32).reshape(-1), gap
    )
