"""Build prompts of named parts, and simulate the token classes in which they are billed."""

from collections.abc import Sequence
from typing import Any

from costaudit.contracts.policies import PrefixPolicy
from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.simulate.prefix.advice.policy_run import simulate_prefix
from tests.simulate.traffic import Log

Classes = tuple[int, ...]  # tokens of one request, in the order of INPUT_CLASSES


Row = tuple[float, list[tuple[Any, ...]], dict[str, Any]]  # seconds, parts, other fields


def words(text: str, count: int = 100) -> str:
    """Return a text of `count` words that starts differently for each name."""
    return " ".join(f"{text}{number}" for number in range(count))


def part(role: str, name: str, tokens: int, marker: str | None = None) -> tuple[Any, ...]:
    return (role, words(name), tokens, marker)


def classes(rows: Sequence[Row]) -> list[Classes]:
    """Simulate the calls as sent; return the tokens of INPUT_CLASSES per request."""
    log = Log()
    for at, parts, fields in rows:
        log.call(parts, at, **{"ttft_ms": 1000.0, "latency_ms": 2000.0, **fields})
    requests, blocks = log.tables()
    return simulate_prefix(requests, blocks, PrefixPolicy()).classes.select(INPUT_CLASSES).rows()
