"""Models that answer misses, their cost, and the hard limit on a replay's spending."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from costaudit.contracts.grades import MTOK
from costaudit.contracts.requests import INPUT_CLASSES, TOKEN_CLASSES
from costaudit.errors import BackendError, UsageError
from costaudit.providers.call import Answer, ModelClient, Prompt
from costaudit.replay.stream import BYPASS, ReplayStream


@dataclass(frozen=True)
class Rate:
    """The prices of a live model, in USD per million tokens, in the order of TOKEN_CLASSES."""

    per_mtok: tuple[Decimal, ...]

    def __post_init__(self) -> None:
        if len(self.per_mtok) != len(TOKEN_CLASSES):
            raise ValueError("a rate has one price per token class")

    def cost_usd(self, tokens: tuple[int, ...]) -> Decimal:
        """Return the price of one call."""
        pairs = zip(tokens, self.per_mtok, strict=True)
        return sum((count * price for count, price in pairs), Decimal(0)) / MTOK


class Upstream(Protocol):
    """A model, or the log itself; raises CallError for one failed call."""

    name: str  # printable, without credentials
    is_live: bool  # calls cost money and take time

    def answer(self, stream: ReplayStream, index: int) -> Answer:
        """Return the answer to a request; a live one is called from several threads at once."""

    def close(self) -> None:
        """Close connections."""


class LiveModel:
    """A model behind an API as an upstream."""

    is_live = True

    def __init__(self, name: str, client: ModelClient) -> None:
        self.name = name
        self._client = client

    def answer(self, stream: ReplayStream, index: int) -> Answer:
        """Return the model's answer to the log's prompt."""
        return self._client.complete(prompt_of(stream, index)).answer

    def close(self) -> None:
        """Close connections."""
        self._client.close()


def prompt_of(stream: ReplayStream, index: int) -> Prompt:
    """Return a request's prompt; raises UsageError for a log without prompts."""
    if stream.prompts is None:
        raise UsageError(
            "A live model can't be called: the log holds no prompts.",
            hint="Replay with the recorded upstream.",
        )
    return stream.prompts[index]


MESSAGE_TOKENS = 16  # more than any chat format adds to a message


@dataclass(frozen=True)
class DryRun:
    """The cost of a replay with a live model, before it runs."""

    calls: int  # if nothing hits
    input_tokens: int
    output_tokens: int
    most_usd: Decimal  # if nothing hits
    expected_usd: Decimal  # with the predicted share of misses


def dry_run(stream: ReplayStream, rate: Rate, miss_share: float = 1.0) -> DryRun:
    """Return the cost of a replay by the log's token counts; `miss_share` is predicted, 0 to 1."""
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
    """Counts spending, and rejects a call that could exceed the limit."""

    def __init__(
        self, rate: Rate | None, max_usd: Decimal | None, spent_usd: Decimal, *, is_live: bool
    ) -> None:
        if is_live:
            check_limit(max_usd)
        if is_live and rate is None:
            raise UsageError(
                "A live model costs money, and its price is unknown.",
                hint="Set its rates; your own model can cost 0.",
            )
        self._rate = rate
        self._max_usd = max_usd if max_usd is not None else Decimal("Infinity")
        self._spent_usd = spent_usd
        self._reserved_usd = Decimal(0)
        self._lock = threading.Lock()

    @contextmanager
    def reserve(self, stream: ReplayStream, index: int) -> Iterator[Callable[[Answer], str]]:
        """Reserve the highest possible cost of a call; the body charges its real cost.

        A call that fails without usage costs nothing, as with providers.
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
        """Add the cost of an answer, and return it as a decimal text."""
        if self._rate is None or not any(self._rate.per_mtok):
            return "0"
        if answer.text and not any(answer.tokens):
            raise BackendError(
                "The model's answers report a usage of all zeros, so spending can't be counted.",
                hint="Make the server report usage. If it costs nothing, set a price of 0 in the "
                "file that --prices names.",
            )
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
    """Return an upper bound of a call's cost: a text never has more tokens than bytes."""
    size = sum(len(message.text.encode()) + MESSAGE_TOKENS for message in prompt.messages)
    dearest = max(rate.per_mtok[: len(INPUT_CLASSES)])
    return (size * dearest + prompt.output_limit * rate.per_mtok[-1]) / MTOK


def spent_before(costs_usd: list[str]) -> Decimal:
    """Return the sum of the finished calls' costs of an interrupted run."""
    return sum(map(Decimal, costs_usd), Decimal(0))


def check_limit(max_usd: Decimal | None) -> None:
    """Raise UsageError if live models would be called without a limit on their cost."""
    if max_usd is None:
        raise UsageError(
            "A live model costs money, and the replay has no limit.",
            hint="Set one with --max-spend, in USD.",
        )
