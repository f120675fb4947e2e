"""Choose pairs for a judge, and get its verdicts within a spending limit."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice

import numpy as np
import numpy.typing as npt

from costaudit.answers.calibration import STRONG
from costaudit.answers.consistency import Consistency
from costaudit.answers.judge.judge import (
    MAX_ANSWER_TOKENS,
    RUBRIC,
    Judge,
    JudgeItem,
    MalformedVerdictError,
    Reply,
    prompt_for,
    read_verdict,
)
from costaudit.answers.judge.verdicts import StoredVerdict, VerdictStore
from costaudit.answers.kinds import TEXT
from costaudit.answers.logged import Ints
from costaudit.contracts.grades import MTOK
from costaudit.progress import Progress, SilentProgress
from costaudit.providers.call import CallError

Floats = npt.NDArray[np.float64]

_EDGES = np.array([0.05, 0.3, 0.7, 0.95])  # bin edges of the probability of being right
_NEAR = 0.03  # a similarity up to this far above the threshold counts as near it
_NEAR_BOOST = 1.5  # factor on the draws from strata near the threshold
_LEAST = 4  # minimum number of pairs per stratum, so that its spread can be measured
_UNRELATED = 0.3  # questions less similar than this need different answers
_DOUBT = 0.02  # variance added to each stratum, because even a confident comparison may be wrong


@dataclass(frozen=True)
class Sample:
    """A stratified sample of hits without replacement."""

    rows: npt.NDArray[np.int64]  # rows of the population, in the order to judge them
    stratum: npt.NDArray[np.int32]  # stratum of each member of the population
    drawn: npt.NDArray[np.int64]  # number of pairs drawn from each stratum


@dataclass(frozen=True)
class Controls:
    """Pairs of requests for which the right verdict is known."""

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
    """Draw `size` hits, stratified by probability of being right and nearness to the threshold.

    probability, similarity (of the questions) and value (USD or counts) are per hit. Strata get
    draws by Neyman allocation, with the share of hits and the share of value weighted equally. Ask
    for verdicts in the order of `rows`: each prefix of it is spread over all strata.
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
    """Divide `size` draws in proportion to `want`; a stratum gets a few at least, all at most."""
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
    """Return pairs with a known verdict, to measure the judge: `each` right and `each` wrong ones.

    Right ones are repeats of one prompt that differ only by noise; live data are excluded. Wrong
    ones are answers to random questions that have little in common.
    """
    rng = np.random.default_rng(seed)
    log, settled = check.log, check.calibration.settled
    calm = np.flatnonzero(check.calibration.level < STRONG)
    rows = rng.permutation(calm)[:each]
    answered = np.flatnonzero((log.answer >= 0) & (log.question >= 0) & (log.kind == TEXT))
    first, second = rng.choice(answered, (2, 20 * each)).astype(np.int32)
    far = log.question_similarity(first, second) < _UNRELATED
    return Controls(
        asked=np.concatenate([settled.second[rows], first[far][:each]]),
        matched=np.concatenate([settled.first[rows], second[far][:each]]),
        right=np.repeat([True, False], [len(rows), min(each, int(far.sum()))]),
    )


_BYTES_PER_TOKEN = 2.5  # a low value, so that the price is an upper estimate
_FRAME_TOKENS = 40  # tokens of the message format around the texts
_GIVE_UP = 3  # the run stops after this many failed calls in a row


@dataclass(frozen=True)
class JudgeRates:
    """The prices of the judge's model."""

    input_per_mtok: Decimal  # USD per million tokens
    output_per_mtok: Decimal

    def cost_usd(self, input_tokens: int, output_tokens: int) -> Decimal:
        """Return the price of one call."""
        usd = input_tokens * self.input_per_mtok + output_tokens * self.output_per_mtok
        return usd / MTOK


@dataclass(frozen=True)
class Budget:
    """A judge's spending limit, and the prices of its calls."""

    rates: JudgeRates
    max_usd: Decimal


@dataclass(frozen=True)
class Quote:
    """The highest possible cost of a judge run."""

    calls: int  # pairs that have no verdict yet
    known: int  # pairs whose verdict is stored
    usd: Decimal


@dataclass(frozen=True)
class JudgeRun:
    """The result of a judge run."""

    verdicts: dict[str, bool]  # by the pair's key, including stored ones
    asked: int  # answered calls of this run
    malformed: int  # replies without a verdict
    failed: int  # calls that failed after their retries
    spent_usd: Decimal  # now
    stopped: str  # why it stopped early; "" if it did not


def quote(items: Sequence[JudgeItem], judge: str, store: VerdictStore, rates: JudgeRates) -> Quote:
    """Return the price of the remaining calls, from an upper estimate of their tokens."""
    known = store.load(judge)
    waiting = _waiting(items, known)
    usd = sum((_most_usd(item, rates) for item in waiting), Decimal(0))
    return Quote(len(waiting), len({item.key for item in items}) - len(waiting), usd)


def run_judge(
    items: Sequence[JudgeItem],
    judge: Judge,
    store: VerdictStore,
    budget: Budget,
    *,
    workers: int = 4,
    progress: Progress | None = None,
) -> JudgeRun:
    """Judge the pairs without a stored reply, in order; each reply is stored immediately.

    A call starts only if its upper estimate fits into the rest of the budget. The run stops after a
    few failed calls in a row. Stored verdicts are kept, and the next run continues from them.
    """
    progress = progress or SilentProgress()
    known = store.load(judge.name)
    waiting = iter(_waiting(items, known))
    tally = _Tally()
    progress.start("judge", None, "pairs")
    with ThreadPoolExecutor(max(1, workers)) as pool:
        while not tally.stopped:
            batch = _affordable(waiting, budget, workers, tally)
            if not batch:
                break
            for item, outcome in zip(batch, pool.map(lambda i: _ask(judge, i), batch), strict=True):
                tally.take(item, outcome, judge.name, store, budget.rates)
            progress.advance(len(batch))
    progress.finish(tally.stopped)
    verdicts = {key: v.right for key, v in store.load(judge.name).items() if v.right is not None}
    wanted = {item.key for item in items}
    return JudgeRun(
        verdicts={key: right for key, right in sorted(verdicts.items()) if key in wanted},
        asked=tally.asked,
        malformed=tally.malformed,
        failed=tally.failed,
        spent_usd=tally.spent,
        stopped=tally.stopped,
    )


class _Tally:
    """The run's progress."""

    def __init__(self) -> None:
        self.asked = self.malformed = self.failed = self.failed_in_a_row = 0
        self.spent = Decimal(0)
        self.stopped = ""

    def take(
        self,
        item: JudgeItem,
        outcome: Reply | CallError,
        name: str,
        store: VerdictStore,
        rates: JudgeRates,
    ) -> None:
        """Count one outcome, and store its verdict."""
        if isinstance(outcome, CallError):
            self.failed += 1
            self.failed_in_a_row += 1
            if self.failed_in_a_row >= _GIVE_UP:
                self.stopped = f"{self.failed_in_a_row} calls in a row failed ({outcome})"
            return
        self.failed_in_a_row = 0
        self.asked += 1
        usd = rates.cost_usd(outcome.input_tokens, outcome.output_tokens)
        self.spent += usd
        right, reason = None, ""
        try:
            opinion = read_verdict(outcome.text)
            right, reason = opinion.right, opinion.reason
        except MalformedVerdictError as error:
            self.malformed += 1
            reason = str(error)
        store.append(StoredVerdict(item.key, name, right, reason, str(usd)))


def _ask(judge: Judge, item: JudgeItem) -> Reply | CallError:
    try:
        return judge.ask(RUBRIC, prompt_for(item))
    except CallError as error:
        return error


def _waiting(items: Iterable[JudgeItem], known: dict[str, StoredVerdict]) -> list[JudgeItem]:
    """Return the pairs without a stored reply, each content once, so that it is paid for once."""
    distinct = {item.key: item for item in items}
    return [item for key, item in distinct.items() if key not in known]


def _affordable(
    waiting: Iterable[JudgeItem], budget: Budget, workers: int, tally: _Tally
) -> list[JudgeItem]:
    """Return the next pairs whose calls fit into the rest of the budget, up to one per worker."""
    batch: list[JudgeItem] = []
    left = budget.max_usd - tally.spent
    for item in islice(waiting, max(1, workers)):
        most = _most_usd(item, budget.rates)
        if most > left:
            tally.stopped = f"the next call may cost ${most:.4f}, and ${left:.4f} is left"
            break
        left -= most
        batch.append(item)
    return batch


def _most_usd(item: JudgeItem, rates: JudgeRates) -> Decimal:
    size = len((RUBRIC + prompt_for(item)).encode())
    tokens = int(size / _BYTES_PER_TOKEN) + _FRAME_TOKENS
    return rates.cost_usd(tokens, MAX_ANSWER_TOKENS)
