"""Learn from repeats of identical prompts how much right answers differ.

Repeats by one user within a short time differ only by noise. Differences between users, over time,
or in most repeats of a few prompts are data (a balance, a status), not noise. The noise is the
difference extrapolated to a time gap of zero, like the nugget of a variogram.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from costaudit.answers.kinds import CODE, JSON, TEXT, NoisyFields, noisy_fields
from costaudit.answers.logged import Ints, Logged
from costaudit.answers.repeats import Repeats
from costaudit.answers.topics import Alarms, Topics, topics_of
from costaudit.answers.traps.detectors import TRAP_NAMES
from costaudit.answers.traps.signatures import Signatures
from costaudit.answers.words import Wording

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.int8]

LEVELS = 6  # levels of contradiction: none, weak, fair, strong, very strong, in carried words
CLEAR_DETAILS = (0.0, 0.0, 0.0, 2.0, 6.0, 0.5)
_HIDDEN = (0.0, 3.0, 5.0, 6.0, 6.0, 0.5)
STRONG = 3  # the lowest level at which answers contradict each other
_LEVEL_ODDS = np.log([2.0, 6.0, 20.0, 60.0])  # lowest log likelihood ratio of levels 1 to 4
_SELDOM = ("numbers", "dates", "amounts", "identifiers")  # detectors that noise rarely triggers
_WORDED = (
    "entities",
    "negation",
    "comparatives",
    "scope",
)  # detectors that depend on wording; their false alarms are measured by topic
_KNOWN_PAIRS = 25.0  # weight of the prior for _SELDOM detectors, in pairs of repeats
_SEEN = 0.5  # prior share of wrong pairs that a single detector separates
_FEW = 8  # minimum number of prompts on each side of a comparison between users or between gaps
_DIFFERENT = 3.2  # two shares differ if they are at least this many standard errors apart
_LEAST_DIFFERENCE = 0.005  # and at least this far apart
_PERSONAL = 0.1  # minimum share of a topic's repeats, between users, that show users' data
_UNRELATED = 20_000  # random pairs that show how similar unrelated answers are
_SPEAKERS = 500  # requests from which these pairs are drawn; few, because each must be embedded


@dataclass(frozen=True)
class Calibration:
    """How right answers to the same prompt differ."""

    settled: Repeats  # pairs of prose answers that differ in wording, and only by noise
    similarity: npt.NDArray[np.float32]  # cosine of the settled pairs
    level: Bytes  # level of contradiction of the settled pairs
    false_alarms: dict[str, float]  # detector → share of noise pairs that it separates
    live: Ints  # prompts (as numbered by repeats) whose answers are data
    noisy: NoisyFields
    unrelated: tuple[float, float]  # location and spread of Fisher's z over unrelated answers
    differs_by_user: bool  # answers to one prompt differ more between users than for one user
    differs_by_time: bool  # answers differ more over long gaps than over short ones
    hidden: bool  # answers differ by user or time beyond the words known to depend on them
    scale: "Scale"

    @property
    def detail_pairs(self) -> tuple[float, ...]:
        """Pseudo-pairs by level: a prior for how clearly wrong details show.

        By default most are clear. If answers differ between users or over time in unknown words,
        the difference may be hard to see.
        """
        return _HIDDEN if self.hidden else CLEAR_DETAILS


@dataclass(frozen=True)
class Scale:
    """The weight of each detector on this log."""

    topics: Topics
    odds: Floats  # (topics, traps): log likelihood ratio when the detector fires
    surprise: Floats  # surprise of differing words, ascending
    surprise_odds: Floats  # log likelihood ratio for at least that surprise

    def of(self, log: Logged, matched: Ints) -> Floats:
        """Return the detectors' odds for the topic of each matched request: (pairs, traps)."""
        return self.odds[self.topics.of_question[log.question[matched]]]

    def levels(self, flags: npt.NDArray[np.uint16], surprise: Floats, ratios: Floats) -> Bytes:
        """Return the level of contradiction of each pair, set by its clearest difference.

        `ratios`: (pairs, traps), the odds of each pair's topic.
        """
        odds = np.zeros(len(flags))
        if len(self.surprise):
            at = np.searchsorted(self.surprise, surprise, "right") - 1
            told = np.where(at >= 0, self.surprise_odds[np.maximum(at, 0)], 0.0)
            odds = np.maximum(odds, np.where(surprise > 0, told, 0.0))
        for bit, ratio in enumerate(ratios.T):
            odds = np.maximum(odds, np.where(flags >> np.uint16(bit) & 1, ratio, 0.0))
        return np.searchsorted(_LEVEL_ODDS, odds, "right").astype(np.int8)


def calibrate(log: Logged, pairs: Repeats, traps: Signatures, wording: Wording) -> Calibration:
    """Learn the noise from repeats, and derive the weight of each detector from it.

    The more noise pairs a detector separates, the less it weighs. No detector is dropped, and none
    is certain: 0 of n pairs count as half a pair.
    """
    similarity = log.similarity(pairs.first, pairs.second)
    noisy = _noisy_fields(log, pairs)
    kinds = log.kind[pairs.first]
    prose = np.isin(kinds, (TEXT, CODE, JSON)) & (kinds == log.kind[pairs.second])
    usable = prose & ~np.isnan(similarity)
    pairs, similarity = pairs.where(usable), similarity[usable]
    flags = traps.contradicts(log.answer[pairs.first], log.answer[pairs.second])
    surprise = wording.surprise(pairs.first, pairs.second)
    unrelated = _unrelated(log)
    apart = _apart(flags, surprise, similarity, unrelated)
    topics = topics_of(log, pairs.second)
    topic = topics.of_question[log.question[pairs.second]]
    moved, named = wording.carried(pairs.first, pairs.second)
    steady = ~(moved | named | _told(pairs, topic, named, _seldom(flags)))
    noise, by_user, by_time = _noise(pairs, apart, steady)
    live = np.zeros(0, np.int32)
    for within in (pairs.same_user, ~pairs.same_user):  # data may be stable for one user
        rows = noise & within
        found = _live(pairs.where(rows), apart[rows, : 1 - len(_WORD_ODDS)])
        noise &= ~(within & np.isin(pairs.prompt, found))
        live = np.union1d(live, found)
    weight = pairs.where(noise).weight
    gap = np.nan_to_num(pairs.gap_s[noise], nan=0.0) if by_time else np.zeros(int(noise.sum()))
    calm_flags, calm_surprise = flags[noise], surprise[noise]
    scale, own, alarms = _scale(topics, topic[noise], calm_flags, calm_surprise, (weight, gap))
    reworded = noise & (log.answer[pairs.first] != log.answer[pairs.second])
    level = scale.levels(calm_flags, calm_surprise, own)[reworded[noise]]
    return Calibration(
        settled=pairs.where(reworded),
        similarity=similarity[reworded],
        level=level,
        false_alarms=alarms,
        live=live,
        noisy=noisy,
        unrelated=unrelated,
        differs_by_user=by_user or bool(named.any()),
        differs_by_time=by_time or bool(moved.any()),
        hidden=by_user or by_time,
        scale=scale,
    )


def _apart(
    flags: npt.NDArray[np.uint16],
    surprise: Floats,
    similarity: npt.NDArray[np.float32],
    unrelated: tuple[float, float],
) -> Bools:
    """Return which signs fire, (pairs, signs): each trap, different topics, telling words."""
    far = similarity < np.tanh(unrelated[0] + 2 * unrelated[1])
    fired = [flags >> np.uint16(bit) & 1 != 0 for bit in range(len(TRAP_NAMES))]
    words = [surprise > odds for odds in _WORD_ODDS]
    return np.stack([*fired, far, *words]).astype(np.bool_).T


def _seldom(flags: npt.NDArray[np.uint16]) -> Bools:
    """Return which pairs differ in a kind of value that noise rarely changes, such as a number."""
    mask = sum(1 << TRAP_NAMES.index(name) for name in _SELDOM)
    return np.asarray(flags & np.uint16(mask) != 0)


def _told(pairs: Repeats, topic: Ints, named: Bools, seldom: Bools) -> Bools:
    """Return the pairs of different users on a prompt or a topic whose answers hold users' data.

    `named`: pairs that differ in a word that depends on the user. Such words are found where users
    ask often enough. Rarer prompts on the same topic hold such data too, and so do topics on which
    most answers to different users differ in numbers or the like (`seldom`).
    """
    across = ~pairs.same_user
    told = np.isin(pairs.prompt, pairs.prompt[named]) & across
    if not told.any():
        return told
    count = np.maximum(np.bincount(topic[across]), 1)
    share = np.bincount(topic[across], told[across]) / count
    differ = np.bincount(topic[across], seldom[across]) / count
    personal = np.flatnonzero((share >= _PERSONAL) | (differ > _MOSTLY))
    return np.asarray(across & (told | np.isin(topic, personal)))


_WORD_ODDS = np.log([20.0, 6.0, 4.0, 3.0])  # only the first may show that answers are data


def _noise(pairs: Repeats, apart: Bools, steady: Bools) -> tuple[Bools, bool, bool]:
    """Return the pairs that differ only by noise, and whether answers depend on user and time."""
    keep = steady.copy()
    by_user = _differ(pairs, apart, keep & pairs.same_user, keep & ~pairs.same_user)
    if by_user:
        keep &= pairs.same_user
    gap = np.nan_to_num(pairs.gap_s, nan=0.0)
    by_time = False
    if keep.any():
        near, far = np.quantile(gap[keep], [1 / 3, 2 / 3])
        by_time = _differ(pairs, apart, keep & (gap <= near), keep & (gap > far))
        if by_time:
            keep &= gap <= near
    return keep, by_user, by_time


def _differ(pairs: Repeats, apart: Bools, calm: Bools, other: Bools) -> bool:
    """Return whether any sign fires more often among the `other` pairs than among the `calm` ones.

    Prompts are compared with prompts of the same size class. Each prompt is one observation,
    because its pairs share answers.
    """
    many = int(pairs.size.max(initial=0)) + 1
    for sign in apart.T:
        more, error, weight = 0.0, 0.0, 0.0
        for size in range(many):
            sides = [_by_prompt(pairs, sign, rows & (pairs.size == size)) for rows in (calm, other)]
            if min(len(side) for side in sides) < _FEW:
                continue
            count = len(sides[0]) * len(sides[1]) / (len(sides[0]) + len(sides[1]))
            more += count * (sides[1].mean() - sides[0].mean())
            error += count**2 * sum(
                float(side.var() + 0.5 / len(side)) / len(side) for side in sides
            )
            weight += count
        if weight and more > max(_DIFFERENT * np.sqrt(error), _LEAST_DIFFERENCE * weight):
            return True
    return False


def _by_prompt(pairs: Repeats, sign: Bools, rows: Bools) -> Floats:
    """Return, for each prompt in `rows`, the share of its pairs in which a sign fires."""
    count = np.bincount(pairs.prompt[rows])
    fired = np.bincount(pairs.prompt[rows], sign[rows], len(count))
    return np.asarray(fired[count > 0] / count[count > 0])


def _live(pairs: Repeats, apart: Bools) -> Ints:
    """Return the prompts whose answers are data, such as a status: most of their repeats differ."""
    if not len(pairs):
        return np.zeros(0, np.int32)
    count = np.bincount(pairs.prompt).astype(np.float64)
    seen = np.flatnonzero(count)
    fired = [np.asarray(np.bincount(pairs.prompt, sign, len(count)), float) for sign in apart.T]
    found = [seen[_data(one[seen], count[seen])] for one in fired]
    return np.unique(np.concatenate(found)).astype(np.int32)


_KINDS_OF_PROMPTS = ((1.0, 1.5), (20.0, 1.0))  # beta parameters: unsteady prompts, data
_STEADIEST = 200.0  # initial second beta parameter of steady prompts; the first is 1
_START_KINDS = (0.8, 0.15, 0.05)  # prior shares: steady, unsteady, data
_MOSTLY = 0.6  # differing share of repeats above which two alternative wordings can't explain it
_RARE = 0.03  # share of unsteady prompts below which `_MOSTLY` applies
_CLEAR = 3  # minimum number of prompts that disagree like data before any counts as data
_LEAN = 10.0  # weight of the prior shares of the kinds, in prompts


def _data(fired: Floats, count: Floats) -> Bools:
    """Return which prompts are data, from their differing pairs (`fired`) and all pairs (`count`).

    Prompts are a mixture of three beta-binomials: a sign hardly ever fires, it fires now and then
    (because one of several wordings has it), or it fires nearly always.
    """
    from scipy.special import betaln

    def like(a: float, b: float) -> Floats:
        found: Floats = betaln(fired + a, count - fired + b) - betaln(a, b)
        return found

    others = [like(*kind) for kind in _KINDS_OF_PROMPTS]
    share = np.array(_START_KINDS)
    posterior = np.zeros((len(share), len(count)))
    steady = _STEADIEST
    for _ in range(50):
        odds = np.stack([like(1.0, steady), *others]) + np.log(share)[:, None]
        posterior = np.exp(odds - odds.max(axis=0))
        posterior /= posterior.sum(axis=0)
        share = posterior.sum(axis=1) + _LEAN * np.array(_START_KINDS)
        share /= share.sum()
        calm = posterior[0] * np.minimum(1, 3 / count)
        steady = float(np.clip((calm @ count + 1) / (calm @ fired + 0.5), 5.0, 5_000.0))
    data = posterior[2] > 0.5
    if share[1] < _RARE:  # if prompts had alternative wordings, unsteady ones would be common
        data |= (posterior[0] < 0.1) & (fired > _MOSTLY * count)
    clear = posterior[2] @ (count >= _CLEAR)
    if clear < _CLEAR or count[data].sum() > 0.5 * count.sum():
        return np.zeros(len(count), np.bool_)  # chance, or so common that it is this log's noise
    return np.asarray(data)


def _scale(
    topics: Topics,
    topic: Ints,
    flags: npt.NDArray[np.uint16],
    surprise: Floats,
    weight_gap: tuple[Floats, Floats],
) -> tuple[Scale, Floats, dict[str, float]]:
    """Return each detector's weight, from its share of false alarms in noise pairs at gap zero.

    Also return the odds of each noise pair without its own contribution, (pairs, traps), and the
    shares of false alarms. Numbers and codes don't depend on wording, so each topic has the whole
    log's share.
    """
    weight, gap = weight_gap
    total = float(weight.sum())
    shares: dict[str, float] = {}
    by_topic, own = (
        np.zeros((topics.count, len(TRAP_NAMES))),
        np.zeros((len(flags), len(TRAP_NAMES))),
    )
    for bit, name in enumerate(TRAP_NAMES):
        fired = (flags >> np.uint16(bit) & 1).astype(np.float64)
        known = _KNOWN_PAIRS if name in _SELDOM else 1.0
        share = (_at_zero(flags >> np.uint16(bit) & 1, weight, gap) * total + 0.5) / (total + known)
        shares[name] = share
        by_topic[:, bit], own[:, bit] = share, share
        if name in _WORDED:
            alarms = Alarms.of(topic, fired, weight, topics.count, share)
            by_topic[:, bit] = alarms.by_topic()
            own[:, bit] = alarms.without(topic, fired, weight)
    order = np.argsort(surprise)
    tail = (np.cumsum(weight[order][::-1])[::-1] + 0.5) / (total + 1)
    beyond = np.log(_SEEN * (total + 1) / 0.5)  # for words clearer than in any noise pair
    steps = np.append(surprise[order], surprise.max(initial=0.0) + 1e-6)
    steps_odds = np.append(np.maximum(np.log(_SEEN / tail), 0.0), beyond)
    scale = Scale(topics, np.maximum(np.log(_SEEN / by_topic), 0.0), steps, steps_odds)
    return scale, np.maximum(np.log(_SEEN / own), 0.0), shares


def _at_zero(fired: npt.NDArray[np.integer], weight: Floats, gap: Floats) -> float:
    """Return the weighted share of pairs in which a detector fires, extrapolated to a gap of zero.

    The share is fitted by a straight line over the gap, like a variogram near its nugget. A falling
    line is taken for chance.
    """
    total = float(weight.sum())
    if not total:
        return 0.0
    share = float(weight @ fired) / total
    middle = float(weight @ gap) / total
    spread = float(weight @ (gap - middle) ** 2)
    if not spread:
        return share
    rise = float(weight @ ((gap - middle) * (fired - share))) / spread
    return float(np.clip(share - max(rise, 0.0) * middle, 0.0, share))


def _unrelated(log: Logged) -> tuple[float, float]:
    """Return location and spread of Fisher's z over answers to random questions (a fixed draw)."""
    prose = np.isin(log.kind, (TEXT, JSON))
    answered = np.flatnonzero((log.answer >= 0) & (log.question >= 0) & prose)
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
