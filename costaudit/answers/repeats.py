"""Identical prompts asked again: what they say about answers when nothing is wrong."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from costaudit.answers.kinds import CODE, JSON, REFUSAL, TEXT
from costaudit.answers.logged import Ints, Logged

_JUDGED = (TEXT, REFUSAL, JSON, CODE)


@dataclass(frozen=True)
class Repeats:
    """Pairs of successive requests with the same prompt in the same scope."""

    first: Ints
    second: Ints  # the later request
    prompt: Ints  # one number per (scope, question)
    gap_s: npt.NDArray[np.float64]  # nan where the log has no time

    def __len__(self) -> int:
        return len(self.first)

    def where(self, keep: npt.NDArray[np.bool_]) -> "Repeats":
        """Keep some of the pairs."""
        return Repeats(self.first[keep], self.second[keep], self.prompt[keep], self.gap_s[keep])


def repeats(log: Logged) -> Repeats:
    """Pair each answered request with the previous answered one of the same prompt and scope."""
    answered = np.flatnonzero((log.answer >= 0) & np.isin(log.kind, _JUDGED))
    questions = max(len(log.questions), 1)
    key = log.scope[answered].astype(np.int64) * questions + log.question[answered]
    by_prompt = np.argsort(key, kind="stable")
    ordered = answered[by_prompt]
    same = key[by_prompt][1:] == key[by_prompt][:-1]
    first, second = ordered[:-1][same], ordered[1:][same]
    _, prompt = np.unique(key[by_prompt][1:][same], return_inverse=True)
    timed = (log.seconds[first] >= 0) & (log.seconds[second] >= 0)
    gap = np.where(timed, log.seconds[second] - log.seconds[first], np.nan)
    return Repeats(
        first.astype(np.int32), second.astype(np.int32), prompt.astype(np.int32).reshape(-1), gap
    )
