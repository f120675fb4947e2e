"""Who answers a miss: a Protocol, and the price of asking."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, TypeVar

from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.errors import BackendError, UsageError
from costaudit.replay.cache import Answer
from costaudit.replay.stream import Prompt, ReplayStream

T = TypeVar("T")
MTOK = Decimal(1_000_000)


@dataclass(frozen=True)
class Rate:
    """What a live model charges, in USD per million tokens, in the order of TOKEN_CLASSES."""

    per_mtok: tuple[Decimal, ...]

    def __post_init__(self) -> None:
        if len(self.per_mtok) != len(TOKEN_CLASSES):
            raise ValueError("a rate has one price per token class")

    def cost_usd(self, tokens: tuple[int, ...]) -> Decimal:
        """Price one call."""
        pairs = zip(tokens, self.per_mtok, strict=True)
        return sum((count * price for count, price in pairs), Decimal(0)) / MTOK


@dataclass(frozen=True)
class CallSettings:
    """How a live model is called."""

    model: str | None = None  # instead of each request's own
    stream: bool = False
    timeout_s: float = 60.0
    retries: int = 4
    key_env: str | None = None  # environment variable that holds the key

    def api_key(self, usual: str, *, needed: bool) -> str:
        """Read the key from the environment; raises BackendError where it is needed and unset."""
        name = self.key_env or usual
        key = os.environ.get(name, "")
        if not key and (needed or self.key_env):
            raise BackendError(
                f"The environment variable {name} is not set.",
                hint=f"Put the key into {name}, or name another variable with key_env=NAME.",
            )
        return key or "none"


class Upstream(Protocol):
    """A model, or the log itself; raises UpstreamError for one failed call."""

    name: str  # printable, without credentials
    is_live: bool  # calls cost money and take time of their own

    def answer(self, stream: ReplayStream, index: int) -> Answer:
        """Answer a request; called from several threads at once where it is live."""

    def close(self) -> None:
        """Let connections go."""


class UpstreamError(Exception):
    """One call that failed for good; `reason` is a short class, such as http-500."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.reason = reason


def whole(chunks: Iterator[T]) -> Iterator[T]:
    """Yield what is streamed; whatever breaks a stream in the middle is an UpstreamError.

    The SDKs pass on what their HTTP library raises there, and which library differs by release.
    """
    try:
        yield from chunks
    except Exception as error:
        raise UpstreamError("broken-stream", type(error).__name__) from None


def prompt_of(stream: ReplayStream, index: int) -> Prompt:
    """Give what a request asked; raises UsageError for a log without prompts."""
    if stream.prompts is None:
        raise UsageError(
            "A live model can't be asked: the log holds no prompts.",
            hint="Replay with the recorded upstream.",
        )
    return stream.prompts[index]
