"""How a replay is run: frozen, and refusing what can't work."""

import math
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal

from costaudit.contracts.policies import Eviction
from costaudit.errors import UsageError


@dataclass(frozen=True)
class ReplayOptions:
    """Settings of one replay; refuses impossible ones with UsageError."""

    min_similarity: float  # cosine; > 1 = identical text only
    speed: float | None = None  # log seconds per second; None: as fast as it goes
    max_rate: float | None = None  # requests per second; None: no limit
    ttl_s: float | None = None  # on the log's clock: it shrinks by `speed`
    ttl_kind: Literal["fixed", "sliding"] = "fixed"
    max_entries: int | None = None  # of each pool; None: no limit
    eviction: Eviction = "lru"
    guard: tuple[str, ...] = ()  # names of the trap detectors that refuse a hit
    shadow: bool = False  # only look up
    keep: bool = False  # leave the entries in the cache at the end
    concurrency: int = 8  # lookups, or calls of a model, at the same time
    pipeline: int = 64  # lookups in one round trip, where the log's clock allows it
    embed_ms: float = 0.0  # to embed a question, in each lookup; 0: the cache counts it itself
    max_spend_usd: Decimal | None = None  # None: no live model may be called
    max_failures: int = 20  # in a row, before the run stops
    max_error_share: float = 0.05  # of the requests that were sent; more is no success
    resume_path: Path | None = None  # journal to write, and to go on from if it exists
    restart: bool = False  # start again where there is a journal
    isolate: bool = False  # take a namespace of its own in a caching proxy
    policy_id: str = "replay"  # of the outcomes

    def __post_init__(self) -> None:
        for name in ("speed", "max_rate", "ttl_s"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name} = {value} can't be used.", hint="Give a number above 0.")
        if not (math.isfinite(self.min_similarity) and self.min_similarity > 0):
            raise UsageError(
                f"A similarity threshold of {self.min_similarity} can't be used.",
                hint="Give a cosine similarity above 0; above 1 means identical text only.",
            )
        for name in ("concurrency", "pipeline", "max_failures", "max_entries"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} must be at least 1.", hint="Give a whole number above 0.")
