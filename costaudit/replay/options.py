"""The settings of a replay, which reject impossible values."""

import math
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from costaudit.contracts.policies import Eviction, TtlKind
from costaudit.errors import UsageError


@dataclass(frozen=True)
class ReplayOptions:
    """Settings of one replay; raises UsageError for impossible ones."""

    min_similarity: float  # cosine; > 1 = identical text only
    speed: float | None = None  # log seconds per second; None: as fast as possible
    max_rate: float | None = None  # requests per second; None: no limit
    ttl_s: float | None = None  # on the log's clock; in real time, divided by `speed`
    ttl_kind: TtlKind = "fixed"
    max_entries: int | None = None  # per pool; None: no limit
    eviction: Eviction = "lru"
    guard: tuple[str, ...] = ()  # names of trap detectors that refuse hits
    shadow: bool = False  # only look up
    keep: bool = False  # leave the entries in the cache at the end
    concurrency: int = 8  # simultaneous lookups or model calls
    pipeline: int = 64  # maximum number of lookups in one round trip
    embed_ms: float = 0.0  # time to embed a question, per lookup; 0: included in the cache's time
    max_spend_usd: Decimal | None = None  # None: no live model may be called
    max_failures: int = 20  # failures in a row that stop the run
    max_error_share: float = 0.05  # of the sent requests; more is a failure
    resume_path: Path | None = None  # journal to write, and to continue if it exists
    restart: bool = False  # start again even if there is a journal
    isolate: bool = False  # take a namespace of its own in a caching proxy
    policy_id: str = "replay"  # policy id of the outcomes

    def __post_init__(self) -> None:
        for name in ("speed", "max_rate", "ttl_s"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name} = {value} can't be used.", hint="Set a number above 0.")
        if not (math.isfinite(self.min_similarity) and self.min_similarity > 0):
            raise UsageError(
                f"A similarity threshold of {self.min_similarity} can't be used.",
                hint="Set a cosine similarity above 0; above 1 means identical text only.",
            )
        for name in ("concurrency", "pipeline", "max_failures", "max_entries"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} must be at least 1.", hint="Set a whole number above 0.")
