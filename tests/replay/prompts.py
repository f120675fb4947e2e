"""Prompts for a log without any, and the prices of their model."""

from decimal import Decimal

from costaudit.providers.call import Message, Prompt
from costaudit.replay.upstream import Rate
from tests.replay.conftest import Log

PRICES = tuple(map(Decimal, ("1.00", "0.10", "1.25", "2.00", "1.25", "4.00")))  # per mtok


RATE = Rate(PRICES)


def asking(log: Log, model: str = "small") -> Log:
    """Return the log with a prompt for each request."""
    prompts = [
        Prompt(
            model,
            (Message("system", "be brief"), Message("user", log.texts[max(row, 0)])),
            temperature=0.5,
            max_tokens=50,
        )
        for row in log.stream.rows
    ]
    object.__setattr__(log.stream, "prompts", prompts)
    return log
