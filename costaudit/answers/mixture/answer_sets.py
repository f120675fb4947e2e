"""Test whether the answers to two prompts come from one distribution.

One answer that looks like another may still be wrong: two prompts on one subject get similar
answers. Where both prompts were asked several times, their two sets of answers tell more. The
statistic is the energy distance (Székely and Rizzo 2004) between the sets, over Fisher's z of the
cosines; its null distribution comes from permutations, so a p-value is valid for sets of any size.
"""

from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

from costaudit.answers.logged import Ints, Logged

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

_MOST = 8  # maximum number of answers of a set, spread evenly over the log
_FEW, _MANY = 2, 24  # beside a set of at most `_FEW` answers, the other set may have `_MANY`
_PERMUTATIONS = 400
_LEAST_SPLITS = 10  # fewer ways to split two sets leave no room for a small p-value
_PART = 4096  # pairs of prompts tested at a time

_STEPS = np.array([0.01, 0.03, 0.1, 0.3])  # p-values at which classes of evidence begin
# how often answers to one prompt are in each class; the first is that of pairs without a p-value
NULL: Floats = np.array([1.0, *np.diff([0.0, *_STEPS, 1.0])])


def evidence(p_values: Floats) -> Longs:
    """Return the class of evidence of each p-value: 0 without one, then 1 for the smallest ones."""
    place = 1 + np.searchsorted(_STEPS, p_values, "right")
    return np.where(np.isnan(p_values), 0, place).astype(np.int64)


class AnswerSets:
    """The answers to each whole prompt, at most `_MOST` each.

    requests: the requests whose answers may be read. Answers outside it stay unread, because each
    has to be embedded. It should leave out answers that repeat their question: these differ from
    prompt to prompt, although they say the same.
    """

    def __init__(self, log: Logged, requests: Ints) -> None:
        rows = np.unique(requests)
        rows = rows[log.answer[rows] >= 0]
        rows = rows[log.vector_row[log.answer[rows]] >= 0]
        self._log = log
        prompt = log.whole_prompt[rows].astype(np.int64)
        order = np.argsort(prompt, kind="stable")
        self._rows, prompt = rows[order], prompt[order]
        self._prompts, self._start, self._count = np.unique(
            prompt, return_index=True, return_counts=True
        )

    def p_values(self, asked: Ints, matched: Ints) -> Floats:
        """Return, per pair of requests, how likely so different answers are for one prompt.

        nan if both have the same whole prompt, or if there are too few answers to tell.
        """
        prompt = self._log.whole_prompt.astype(np.int64)
        width = int(prompt.max(initial=0)) + 1
        key = prompt[asked] * width + prompt[matched]
        distinct, place = np.unique(key, return_inverse=True)
        first, second = np.divmod(distinct, width)
        one, other = self._of(first), self._of(second)
        out = np.full(len(distinct), np.nan)
        self._test(one, other, np.flatnonzero((first != second) & (one >= 0) & (other >= 0)), out)
        return np.asarray(out[place.reshape(-1)])

    def _of(self, prompts: Longs) -> Longs:
        """Return the index of each prompt's set; -1 without one."""
        if not len(self._prompts):
            return np.full(len(prompts), -1)
        at = np.minimum(np.searchsorted(self._prompts, prompts), len(self._prompts) - 1)
        return np.where(self._prompts[at] == prompts, at, -1)

    def _test(self, one: Longs, other: Longs, pairs: Longs, out: Floats) -> None:
        count = np.append(self._count, 0)  # for prompts without answers (-1)
        size = _size(count[one], count[other]), _size(count[other], count[one])
        for a, b in np.unique(np.stack([size[0][pairs], size[1][pairs]]), axis=1).T.tolist():
            if comb(a + b, a) < _LEAST_SPLITS:
                continue
            rows = pairs[(size[0][pairs] == a) & (size[1][pairs] == b)]
            for start in range(0, len(rows), _PART):
                part = rows[start : start + _PART]
                members = np.concatenate(
                    [self._members(one[part], a), self._members(other[part], b)], 1
                )
                out[part] = self._tested(members, a)

    def _members(self, at: Longs, size: int) -> Longs:
        """Return the requests of each set, (sets, size), spread evenly over the log."""
        step = self._count[at] / size
        return np.asarray(
            self._rows[
                self._start[at][:, None] + (np.arange(size) * step[:, None]).astype(np.int64)
            ]
        )

    def _tested(self, members: Longs, size: int) -> Floats:
        """Return p-values; members: (pairs, n) requests; the first `size` are one set."""
        log = self._log
        answer = log.answer[members]
        if log.embed is not None:
            log.embed(np.unique(log.vector_row[answer]))
        vectors = log.vectors[log.vector_row[answer]]
        near = np.einsum("pid,pjd->pij", vectors, vectors, optimize=True)
        near[answer[:, :, None] == answer[:, None, :]] = 1.0
        near = np.arctanh(np.clip(near, -0.999, 0.996))
        split = _splits(members.shape[1], size)
        inside = split @ near  # (pairs, splits, n)
        within = (inside * split).sum(axis=2)
        total = near.sum(axis=(1, 2))[:, None]
        across = inside.sum(axis=2) - within
        n, m = size, members.shape[1] - size
        other = total - within - 2 * across
        energy = within / n**2 + other / m**2 - 2 * across / (n * m)
        return np.asarray((energy >= energy[:, :1] - 1e-6).mean(axis=1))


def _size(count: Longs, other: Longs) -> Longs:
    """Return how many of `count` answers to compare with a set of `other` answers."""
    return np.minimum(count, np.where(other <= _FEW, _MANY, _MOST))


def _splits(n: int, size: int) -> npt.NDArray[np.float32]:
    """Return ways to split n members, (splits, n): 1 for the first set; the actual one is first."""
    if comb(n, size) <= _PERMUTATIONS:
        chosen = list(combinations(range(n), size))
        out = np.zeros((len(chosen), n), np.float32)
        out[np.repeat(np.arange(len(chosen)), size), np.array(chosen).reshape(-1)] = 1
        return out
    rng = np.random.default_rng(0)
    order = np.argsort(rng.random((_PERMUTATIONS, n)), axis=1)
    out = (order < size).astype(np.float32)
    out[0] = np.arange(n) < size
    return out
