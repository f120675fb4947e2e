"""Who answers a miss: a Protocol, and the price of asking."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.replay.cache import Answer
from costaudit.replay.stream import ReplayStream

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
