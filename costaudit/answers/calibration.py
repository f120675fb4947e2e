"""What repeats of identical prompts teach: which differences between answers mean nothing."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from costaudit.answers.kinds import CODE, JSON, REFUSAL, TEXT, NoisyFields, noisy_fields
from costaudit.answers.logged import Ints, Logged
from costaudit.answers.traps.detectors import TRAP_NAMES
from costaudit.answers.traps.signatures import Signatures

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


ALWAYS = ("numbers", "dates", "amounts", "identifiers")  # kept where no repeats speak against them
_FALSE_ALARMS = 0.05  # a detector that tells more of the repeats apart says nothing
_FEW = 20  # repeats below which a detector can't be calibrated
_LIVE_SHARE = 0.75  # of a prompt's repeats that disagree, above which its answer is live data
_LIVE_PAIRS = 6  # repeats of a prompt before it may be called live
_YOUNG_PROMPTS = 0.6  # of the prompts that keep a pair when long gaps are left out
_UNRELATED = 20_000  # pairs drawn to see how alike unrelated answers are,
_SPEAKERS = 500  # of so many requests: what is compared must be embedded


@dataclass(frozen=True)
class Calibration:
    """The behaviour of answers when nothing is wrong."""

    settled: Repeats  # text and code answers in different words, of prompts that aren't live
    similarity: npt.NDArray[np.float32]  # of the settled pairs
    contradicts: npt.NDArray[np.bool_]  # a kept detector tells the settled pair apart
    false_alarms: dict[str, float]  # detector → share of repeats that it tells apart
    kept: np.uint32  # bits of the detectors that hold for this log
    live: npt.NDArray[np.int32]  # prompts (as numbered by repeats) with live answers
    noisy: NoisyFields
    unrelated: tuple[float, float]  # mean and spread of Fisher's z over unrelated answers

    @property
    def kept_names(self) -> tuple[str, ...]:
        """Name the detectors that hold for this log."""
        return tuple(n for bit, n in enumerate(TRAP_NAMES) if int(self.kept) >> bit & 1)


def calibrate(log: Logged, pairs: Repeats, traps: Signatures) -> Calibration:
    """Learn from repeats: the detectors to keep, the live prompts, the noise of right answers.

    Where a prompt's answers contradict each other most of the time, its answer is live data (an
    order's status): that is no noise, so its repeats don't count. A detector that fires between
    repeats of the typical prompt is noise, and is dropped.
    """
    similarity = log.similarity(pairs.first, pairs.second)
    prose = np.isin(log.kind[pairs.first], (TEXT, CODE)) & (
        log.kind[pairs.first] == log.kind[pairs.second]
    )
    usable = prose & ~np.isnan(similarity)
    noisy = _noisy_fields(log, pairs)
    pairs, similarity = pairs.where(usable), similarity[usable]
    flags = traps.contradicts(log.answer[pairs.first], log.answer[pairs.second])
    unrelated = _unrelated(log)
    typical = _typical_alarms(pairs.prompt, flags)
    hopeful = _bits(name for name, share in typical.items() if share <= _FALSE_ALARMS)
    far = similarity < np.tanh(unrelated[0] + 2 * unrelated[1])
    live = _live_prompts(pairs.prompt, ((flags & hopeful) != 0) | far)
    calm = ~np.isin(pairs.prompt, live) & _young(pairs)
    weight = pairs.where(calm).weight
    alarms = {
        name: float(weight @ (flags[calm] >> bit & 1) / max(weight.sum(), 1e-9))
        for bit, name in enumerate(TRAP_NAMES)
    }
    if calm.sum() < _FEW:
        kept = _bits(ALWAYS)
    else:
        kept = _bits(n for n, share in alarms.items() if share <= _FALSE_ALARMS)
    reworded = calm & (log.answer[pairs.first] != log.answer[pairs.second])
    return Calibration(
        settled=pairs.where(reworded),
        similarity=similarity[reworded],
        contradicts=(flags[reworded] & kept) != 0,
        false_alarms=alarms,
        kept=np.uint32(kept),
        live=live,
        noisy=noisy,
        unrelated=unrelated,
    )


def _bits(names: Iterable[str]) -> int:
    return sum(1 << TRAP_NAMES.index(name) for name in names)


def _young(pairs: Repeats) -> npt.NDArray[np.bool_]:
    """Keep the pairs with short gaps, of most prompts: facts change in longer ones."""
    gap = np.nan_to_num(pairs.gap_s, nan=0.0)
    if not len(gap):
        return np.zeros(0, np.bool_)
    shortest = np.full(int(pairs.prompt.max()) + 1, np.inf)
    np.minimum.at(shortest, pairs.prompt, gap)
    limit = np.quantile(shortest[np.isfinite(shortest)], _YOUNG_PROMPTS)
    return np.asarray(gap <= limit)


def _typical_alarms(
    prompt: npt.NDArray[np.int32], flags: npt.NDArray[np.uint16]
) -> dict[str, float]:
    """Return each detector's median share of flagged repeats over prompts, weighted by repeats."""
    if not len(prompt):
        return dict.fromkeys(TRAP_NAMES, 0.0)
    weight = np.bincount(prompt)
    out = {}
    for bit, name in enumerate(TRAP_NAMES):
        share = np.bincount(prompt, weights=flags >> bit & 1) / np.maximum(weight, 1)
        order = np.argsort(share, kind="stable")
        middle = np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)
        out[name] = float(share[order][middle])
    return out


def _live_prompts(
    prompt: npt.NDArray[np.int32], apart: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int32]:
    if not len(prompt):
        return np.zeros(0, np.int32)
    pairs = np.bincount(prompt)
    share = np.bincount(prompt, weights=apart) / np.maximum(pairs, 1)
    return np.flatnonzero((pairs >= _LIVE_PAIRS) & (share > _LIVE_SHARE)).astype(np.int32)


def _unrelated(log: Logged) -> tuple[float, float]:
    """Measure how alike answers to questions drawn at random are; the draw is fixed."""
    answered = np.flatnonzero((log.answer >= 0) & (log.question >= 0) & (log.kind == TEXT))
    if len(answered) < 2:
        return 0.2, 0.2
    rng = np.random.default_rng(0)
    speakers = rng.choice(answered, min(_SPEAKERS, len(answered)), replace=False)
    first, second = rng.choice(speakers, (2, _UNRELATED)).astype(np.int32)
    other = log.question[first] != log.question[second]
    similarity = log.similarity(first[other], second[other])
    similarity = similarity[~np.isnan(similarity)]
    if len(similarity) < 2:
        return 0.2, 0.2
    z = np.arctanh(np.clip(similarity.astype(np.float64), -0.999, 0.996))
    low, middle = np.quantile(z, [0.16, 0.5])  # robust against pairs on one topic
    return float(middle), float(max(middle - low, 0.05))


def _noisy_fields(log: Logged, pairs: Repeats) -> NoisyFields:
    both = (log.kind[pairs.first] == JSON) & (log.kind[pairs.second] == JSON)
    rows = np.flatnonzero(both)[:5000]
    texts, answer = log.answers, log.answer
    return noisy_fields(
        [(texts[answer[pairs.first[k]]], texts[answer[pairs.second[k]]]) for k in rows]
    )
