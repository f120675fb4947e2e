"""Measure how fast answers to a question become outdated, and which TTL this allows."""

import re
import unicodedata
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from costaudit.answers.consistency import Consistency
from costaudit.answers.logged import Ints, Logged
from costaudit.answers.tally import deal, resample
from costaudit.contracts.grades import Estimate, Grade

GAPS_S = (60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 86400.0, 3 * 86400.0, 7 * 86400.0, 30 * 86400.0)
_ENOUGH = 30  # minimum number of pairs for a curve
_FEW = 8  # minimum number of pairs in a range of gaps; smaller ranges are merged
_PAIRS_PER_PROMPT = 60  # maximum number of pairs of a prompt per lag
_REPLICATES = 200
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class DriftPoint:
    """The share of outdated answers among repeats in one range of gaps."""

    gap_s: float  # upper end of the range; the previous point's is the lower end
    pairs: int
    outdated_share: Estimate  # beyond the difference at the shortest gaps


@dataclass(frozen=True)
class Drift:
    """How answers to a group of questions become outdated."""

    points: tuple[DriftPoint, ...]  # in order of gap; empty if there are too few repeats
    ttl_s: float | None  # longest supported TTL; None: no limit found within the log
    grade: Grade
    why: str  # one sentence


@dataclass(frozen=True)
class Volatility:
    """A class of answers with its usual TTL, for groups without repeats."""

    name: str
    ttl_s: float
    words: tuple[str, ...]  # a question with any of these words belongs to the class


# The volatility classes and their longest TTLs are from the guide that `costing/claims.py` checks;
# the words are costaudit's.
VOLATILITY = (
    Volatility("real-time data", 60.0, ("now", "status", "price", "prices", "stock", "weather",
                                        "live", "today", "ahora", "estado", "precio", "precios",
                                        "existencias", "tiempo", "hoy")),
    Volatility("user data", 15 * 60.0, ("my", "account", "accounts", "order", "orders", "balance",
                                        "mi", "mis", "cuenta", "cuentas", "pedido", "pedidos",
                                        "saldo")),
    Volatility("questions", 4 * 3600.0, ("how", "what", "can", "where", "cómo", "qué", "puedo",
                                         "dónde")),
    Volatility("documents", 86400.0, ("document", "policy", "manual", "terms", "documento",
                                      "política", "condiciones")),
    Volatility("archives", 30 * 86400.0, ("history", "archive", "historia", "archivo")),
)  # fmt: skip


def drift(
    check: Consistency, members: npt.NDArray[np.bool_], *, max_outdated: float = 0.05, seed: int = 0
) -> Drift:
    """Return the drift of the requests in `members`, an (n,) mask.

    The supported TTL is the longest gap up to which the expected share of outdated answers is at
    most `max_outdated`. The difference at the shortest gaps is noise, and is subtracted.
    """
    first, second = spread_repeats(check.log, members)
    verdicts = check.judge(first, second)
    known = (verdicts.right >= 0) & (check.log.seconds[first] >= 0)
    first, second = first[known], second[known]
    if len(first) < _ENOUGH:
        return by_volatility(check.log, members)
    gap = check.log.seconds[second] - check.log.seconds[first]
    wrong = verdicts.right[known] == 0
    shares, gaps, pairs = _curve(check.log, second, gap, wrong, seed)
    noise = shares[:, :1]
    outdated = np.clip((shares - noise) / np.maximum(1 - noise, 1e-9), 0.0, 1.0)
    points = tuple(
        DriftPoint(g, int(n), _estimate(outdated[:, k], int(n)))
        for k, (g, n) in enumerate(zip(gaps, pairs, strict=True))
    )
    weight = np.asarray(pairs, np.float64)
    expected = np.cumsum(outdated[0] * weight) / np.cumsum(weight)
    return _supported(points, expected, max_outdated)


def spread_repeats(log: Logged, members: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Return pairs of requests with one question and scope, at lags of 1, 2, 4 ... requests."""
    rows = np.flatnonzero(members & (log.answer >= 0) & (log.question >= 0))
    questions = max(len(log.questions), 1)
    key = log.scope[rows].astype(np.int64) * questions + log.question[rows]
    order = np.lexsort((rows, log.seconds[rows], key))
    rows, key = rows[order], key[order]
    first, second = [], []
    lag = 1
    while lag < len(rows) and lag <= 1 << 20:
        same = np.flatnonzero(key[lag:] == key[:-lag])
        if not len(same):
            break
        starts = np.flatnonzero(np.r_[True, key[same][1:] != key[same][:-1]])
        rank = np.arange(len(same)) - np.repeat(starts, np.diff(np.r_[starts, len(same)]))
        same = same[rank < _PAIRS_PER_PROMPT]
        first.append(rows[same])
        second.append(rows[same + lag])
        lag *= 2
    if not first:
        return np.zeros(0, np.int32), np.zeros(0, np.int32)
    return np.concatenate(first).astype(np.int32), np.concatenate(second).astype(np.int32)


def _curve(
    log: Logged,
    second: Ints,
    gap: npt.NDArray[np.float64],
    wrong: npt.NDArray[np.bool_],
    seed: int,
) -> tuple[npt.NDArray[np.float64], list[float], list[int]]:
    """Return the share of differing answers per range of gaps, (replicates + 1, ranges).

    The first row is the log as it is. Also return the upper end and the pairs of each range.
    """
    edges = [g for g in GAPS_S if (gap <= g).any()]
    stretch = np.searchsorted(np.array(edges), gap, "left")
    counts = np.bincount(stretch, minlength=len(edges) + 1)
    keep: list[int] = []  # last range of each merged run
    held = 0
    for k, count in enumerate(counts):
        held += int(count)
        if held >= _FEW:
            keep.append(k)
            held = 0
    if not keep or held:
        keep = [*keep[:-1], len(counts) - 1]
    joined = np.searchsorted(np.array(keep), stretch, "left")
    prompt = deal(log.question[second])
    weight = resample(int(prompt.max()) + 1, _REPLICATES, seed)
    cells = prompt.astype(np.int64) * len(keep) + joined
    size = weight.shape[1] * len(keep)
    total = weight @ np.bincount(cells, minlength=size).reshape(-1, len(keep)).astype(np.float64)
    bad = weight @ np.bincount(cells, wrong, minlength=size).reshape(-1, len(keep))
    gaps = [edges[k] if k < len(edges) else float(gap.max()) for k in keep]
    pairs = np.bincount(joined, minlength=len(keep)).tolist()
    return bad / np.maximum(total, 1e-9), gaps, pairs


def _estimate(shares: npt.NDArray[np.float64], pairs: int) -> Estimate:
    """Return the share with its interval, at least as wide as the exact binomial interval at 0."""
    low, high = (float(q) for q in np.quantile(shares[1:], [0.025, 0.975]))
    value = float(shares[0])
    high = max(high, min(1.0, value + 1 - 0.025 ** (1 / max(pairs, 1))))
    return Estimate(value, "estimated", min(low, value), high)


def _supported(
    points: tuple[DriftPoint, ...], expected: npt.NDArray[np.float64], most: float
) -> Drift:
    """Return the drift whose TTL is the longest gap with an expected share within `most`."""
    over = np.flatnonzero(expected > most)
    if not len(over):
        why = (
            f"Over gaps of up to {_span(points[-1].gap_s)}, at most {most:.0%} of the answers are "
            "expected to be outdated."
        )
        return Drift(points, None, "estimated", why)
    at = int(over[0])
    ttl = points[max(at - 1, 0)].gap_s
    why = (
        f"Up to {_span(ttl)} the expected share of outdated answers stays within {most:.0%};"
        f" up to {_span(points[at].gap_s)} it is {expected[at]:.0%}."
    )
    return Drift(points, ttl, "estimated", why)


def by_volatility(log: Logged, members: npt.NDArray[np.bool_]) -> Drift:
    """Return the assumed drift of the volatility class that most of the questions belong to."""
    found = np.unique(log.question[members & (log.question >= 0)])
    votes = dict.fromkeys((one.name for one in VOLATILITY), 0)
    for place in found.tolist():
        words = set(_WORD.findall(unicodedata.normalize("NFC", log.questions[place].lower())))
        named = next((one.name for one in VOLATILITY if words & set(one.words)), "questions")
        votes[named] += 1
    best = max(VOLATILITY, key=lambda one: votes[one.name])
    why = f"Too few repeats to measure; {_span(best.ttl_s)} is a usual TTL for {best.name}."
    return Drift((), best.ttl_s, "assumed", why)


def _span(seconds: float) -> str:
    """Return a duration as text in its largest fitting unit."""
    for size, unit in ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute")):
        if seconds >= size:
            count = seconds / size
            return f"{count:.3g} {unit}{'s' if round(count, 2) != 1 else ''}"
    return f"{seconds:.3g} seconds"
