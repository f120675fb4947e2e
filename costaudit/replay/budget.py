"""The hard limit on what a replay may spend, and the dry run that prices it first."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.errors import BackendError, UsageError
from costaudit.replay.cache import Answer
from costaudit.replay.stream import BYPASS, Prompt, ReplayStream
from costaudit.replay.upstream import MTOK, Rate

MESSAGE_TOKENS = 16  # more than any chat format spends around a message


@dataclass(frozen=True)
class DryRun:
    """What a replay against a live model would cost."""

    calls: int  # at most: if nothing hit
    input_tokens: int
    output_tokens: int
    most_usd: Decimal  # if nothing hit
    expected_usd: Decimal  # with the share of misses that the simulation predicts


def dry_run(stream: ReplayStream, rate: Rate, miss_share: float = 1.0) -> DryRun:
    """Price a replay from the log's own token counts; `miss_share` is predicted, 0 to 1."""
    asked = stream.tokens[stream.rows != BYPASS]
    by_class = tuple(int(count) for count in asked.sum(axis=0))
    most_usd = rate.cost_usd(by_class)
    return DryRun(
        calls=len(asked),
        input_tokens=sum(by_class[: len(INPUT_CLASSES)]),
        output_tokens=by_class[-1],
        most_usd=most_usd,
        expected_usd=most_usd * Decimal(repr(miss_share)),
    )


class Budget:
    """Count what is spent, and refuse a call that could exceed the limit."""

    def __init__(
        self, rate: Rate | None, max_usd: Decimal | None, spent_usd: Decimal, *, is_live: bool
    ) -> None:
        if is_live:
            check_limit(max_usd)
        if is_live and rate is None:
            raise UsageError(
                "A live model costs money, and its price is not known.",
                hint="Give its rates; a model of your own can cost 0.",
            )
        self._rate = rate
        self._max_usd = max_usd if max_usd is not None else Decimal("Infinity")
        self._spent_usd = spent_usd
        self._reserved_usd = Decimal(0)
        self._lock = threading.Lock()

    @contextmanager
    def reserve(self, stream: ReplayStream, index: int) -> Iterator[Callable[[Answer], str]]:
        """Hold back the most that a call can cost; the body charges what it did cost.

        A call that fails without saying what it took is charged nothing, as providers do.
        """
        if self._rate is None or stream.prompts is None:
            yield lambda answer: "0"
            return
        most_usd = worst_usd(self._rate, stream.prompts[index])
        with self._lock:
            self._admit(most_usd)
            self._reserved_usd += most_usd
        try:
            yield self.charge
        finally:
            with self._lock:
                self._reserved_usd -= most_usd

    def charge(self, answer: Answer) -> str:
        """Add what an answer cost; give it as a decimal."""
        if self._rate is None:
            return "0"
        cost_usd = self._rate.cost_usd(answer.tokens)
        with self._lock:
            self._spent_usd += cost_usd
        return str(cost_usd)

    def _admit(self, most_usd: Decimal) -> None:
        if self._spent_usd + self._reserved_usd + most_usd > self._max_usd:
            raise BackendError(
                f"The next call could exceed the limit of ${self._max_usd}: "
                f"${self._spent_usd.normalize():f} is spent.",
                hint="Raise --max-spend.",
            )


def worst_usd(rate: Rate, prompt: Prompt) -> Decimal:
    """Bound the cost of one call: no tokenizer makes more tokens than a text has bytes."""
    size = sum(len(message.text.encode()) + MESSAGE_TOKENS for message in prompt.messages)
    dearest = max(rate.per_mtok[: len(INPUT_CLASSES)])
    return (size * dearest + prompt.output_limit * rate.per_mtok[-1]) / MTOK


def spent_before(costs_usd: list[str]) -> Decimal:
    """Add up what the acknowledged calls of an interrupted run cost."""
    return sum(map(Decimal, costs_usd), Decimal(0))


def check_limit(max_usd: Decimal | None) -> None:
    """Raise UsageError where live models would be called without a limit on what they cost."""
    if max_usd is None:
        raise UsageError(
            "A live model costs money, and the replay has no limit.",
            hint="Give one with --max-spend, in USD.",
        )
