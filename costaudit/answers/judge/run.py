"""Ask a judge about a sample of pairs, within a limit of spending."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice

from costaudit.answers.judge.judge import Judge, JudgeCallError, Reply
from costaudit.answers.judge.rubric import (
    MAX_ANSWER_TOKENS,
    RUBRIC,
    JudgeItem,
    MalformedVerdictError,
    prompt_for,
    read_verdict,
)
from costaudit.answers.judge.verdicts import StoredVerdict, VerdictStore
from costaudit.progress import Progress, SilentProgress

_BYTES_PER_TOKEN = 2.5  # fewer than any common tokenizer needs: the price is an upper estimate
_FRAME_TOKENS = 40  # of the messages around the texts
_GIVE_UP = 3  # failed calls in a row, after which the network is taken for gone
_MTOK = Decimal(1_000_000)


@dataclass(frozen=True)
class JudgeRates:
    """What the judge's model charges."""

    input_per_mtok: Decimal  # USD per million tokens
    output_per_mtok: Decimal

    def cost_usd(self, input_tokens: int, output_tokens: int) -> Decimal:
        """Price one call."""
        usd = input_tokens * self.input_per_mtok + output_tokens * self.output_per_mtok
        return usd / _MTOK


@dataclass(frozen=True)
class Quote:
    """What a judge run would cost at most."""

    calls: int  # pairs that have no verdict yet
    known: int  # pairs whose verdict is stored
    usd: Decimal


@dataclass(frozen=True)
class JudgeRun:
    """What came of asking a judge."""

    verdicts: dict[str, bool]  # by the key of the pair, stored ones included
    asked: int  # calls made now that gave a reply
    malformed: int  # replies without a verdict
    failed: int  # calls that failed after their retries
    spent_usd: Decimal  # now
    stopped: str  # why before the end; empty if it came to the end


def quote(items: Sequence[JudgeItem], judge: str, store: VerdictStore, rates: JudgeRates) -> Quote:
    """Price the calls that are still to be made, by an upper estimate of their tokens."""
    known = store.load(judge)
    waiting = _waiting(items, known)
    usd = sum((_most_usd(item, rates) for item in waiting), Decimal(0))
    return Quote(len(waiting), len({item.key for item in items}) - len(waiting), usd)


def run_judge(
    items: Sequence[JudgeItem],
    judge: Judge,
    store: VerdictStore,
    rates: JudgeRates,
    *,
    max_spend_usd: Decimal,
    workers: int = 4,
    progress: Progress | None = None,
) -> JudgeRun:
    """Ask about the pairs that have no verdict yet, in order; each verdict is stored at once.

    A call starts only if its upper estimate fits into what is left of `max_spend_usd`. After some
    failed calls in a row the run stops; what was stored stays, and the next run goes on from it.
    """
    progress = progress or SilentProgress()
    known = store.load(judge.name)
    waiting = iter(_waiting(items, known))
    tally = _Tally()
    progress.start("judge", None, "pairs")
    with ThreadPoolExecutor(max(1, workers)) as pool:
        while not tally.stopped:
            batch = _affordable(waiting, rates, max_spend_usd - tally.spent, workers, tally)
            if not batch:
                break
            for item, outcome in zip(batch, pool.map(lambda i: _ask(judge, i), batch), strict=True):
                tally.take(item, outcome, judge.name, store, rates)
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
    """What happened so far."""

    def __init__(self) -> None:
        self.asked = self.malformed = self.failed = self.failed_in_a_row = 0
        self.spent = Decimal(0)
        self.stopped = ""

    def take(
        self,
        item: JudgeItem,
        outcome: Reply | JudgeCallError,
        name: str,
        store: VerdictStore,
        rates: JudgeRates,
    ) -> None:
        """Count one outcome, and store its verdict."""
        if isinstance(outcome, JudgeCallError):
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


def _ask(judge: Judge, item: JudgeItem) -> Reply | JudgeCallError:
    try:
        return judge.ask(RUBRIC, prompt_for(item))
    except JudgeCallError as error:
        return error


def _waiting(items: Iterable[JudgeItem], known: dict[str, StoredVerdict]) -> list[JudgeItem]:
    """List the pairs without a stored reply, each content once; none is paid for twice."""
    distinct = {item.key: item for item in items}
    return [item for key, item in distinct.items() if key not in known]


def _affordable(
    waiting: Iterable[JudgeItem], rates: JudgeRates, left: Decimal, workers: int, tally: _Tally
) -> list[JudgeItem]:
    """Take the next pairs whose calls fit into what is left, up to one per worker."""
    batch: list[JudgeItem] = []
    for item in islice(waiting, max(1, workers)):
        most = _most_usd(item, rates)
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
