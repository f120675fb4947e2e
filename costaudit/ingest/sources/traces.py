"""Public traces of serving systems: times and lengths, without text."""

from typing import Any, ClassVar

from costaudit.ingest.calls.call import Call, Prompt, Skip, Usage
from costaudit.ingest.calls.fields import EARLIEST_US, LATEST_US, MOST_TOKENS, Fields
from costaudit.ingest.calls.pair import NOT_A_CALL
from costaudit.ingest.calls.usage import plausible
from costaudit.ingest.sources.source import PerRecord

MOONCAKE_BLOCK = 512  # tokens behind each hash
START_US = 1_704_067_200_000_000  # 2024-01-01: relative times count from here
assert START_US > EARLIEST_US


def _lengths(sent: int | None, received: int | None) -> Usage | None:
    return plausible(Usage("openai", input=sent, output=received, cache_read=None))


def _moment(offset: float | None, unit_us: int) -> int | None:
    """Return the time that lies so many units after the start of a trace."""
    moment = None if offset is None else START_US + round(offset * unit_us)
    return moment if moment is not None and EARLIEST_US <= moment < LATEST_US else None


IMPOSSIBLE = Skip("impossible-count", "Its count of tokens is no count that a call can have.")


class Mooncake(PerRecord):
    """Read Mooncake's traces; each hash stands for a block and all that is before it."""

    name: ClassVar[str] = "mooncake"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        keys = ("input_length", "output_length", "hash_ids")
        return ", ".join(keys) if all(key in record for key in keys) else ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one request; its time counts milliseconds from the start of the trace."""
        sent, offset = record.integer("input_length"), record.number("timestamp")
        if sent is None:
            return NOT_A_CALL
        if not 0 <= sent < MOST_TOKENS:
            return IMPOSSIBLE
        hashes = []
        left = sent
        for block in record.items("hash_ids"):
            hashes.append((str(block), min(left, MOONCAKE_BLOCK)))
            left = max(left - MOONCAKE_BLOCK, 0)
        return Call(
            ts_us=_moment(offset, 1_000),
            endpoint="trace",
            prompt=Prompt(hashes=hashes),
            usage=_lengths(sent, record.integer("output_length")),
        )


class BurstGPT(PerRecord):
    """Read BurstGPT's tables; times count seconds from the first midnight, tokens 0 failed."""

    name: ClassVar[str] = "burstgpt"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        lowered = {key.lower() for key in record}
        keys = ("request tokens", "response tokens", "log type")
        return ", ".join(keys) if lowered.issuperset(keys) else ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one row."""
        row = Fields({key.lower(): value for key, value in record.values.items()})
        sent, received = row.integer("request tokens"), row.integer("response tokens")
        if sent is None:
            return NOT_A_CALL
        if not 0 <= sent < MOST_TOKENS:
            return IMPOSSIBLE
        offset, elapsed = row.number("timestamp"), row.number("elapsed time")
        call = Call(
            ts_us=_moment(offset, 1_000_000),
            provider="openai",
            model=row.text("model"),
            endpoint=row.text("log type"),
            conversation=row.text("session id"),
            latency_ms=None if elapsed is None else elapsed * 1_000,
            usage=_lengths(sent, received),
        )
        if not received:
            call.status, call.error = "error", "no_response"
        return call


class AzureTrace(PerRecord):
    """Read Azure's inference traces."""

    name: ClassVar[str] = "azure_trace"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        keys = {"timestamp", "contexttokens", "generatedtokens"}
        found = {key.lower() for key in record}
        return ", ".join(sorted(keys)) if keys <= found else ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one row."""
        row = Fields({key.lower(): value for key, value in record.values.items()})
        sent = row.integer("contexttokens")
        if sent is None:
            return NOT_A_CALL
        if not 0 <= sent < MOST_TOKENS:
            return IMPOSSIBLE
        return Call(
            ts_us=row.time_us("timestamp"),
            endpoint="trace",
            usage=_lengths(sent, row.integer("generatedtokens")),
        )
