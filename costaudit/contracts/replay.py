"""What a live cache did with the same requests: a part of the audit."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class LatencyRow:
    """Latency of one kind of request."""

    name: str  # as logged | through the cache | lookups | hits | misses
    requests: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True)
class ReplaySection:
    """Predicted against measured, hit by hit. Law: agreed + Σ reasons = requests."""

    cache: str  # printable address
    policy_id: str
    pace: str  # in words, such as 10 times the log's speed
    requests: int
    agreed: int  # same result on both sides
    confusion: dict[str, dict[str, int]]  # predicted → measured → requests
    reasons: dict[str, int]  # why → requests that went otherwise than predicted
    errors: dict[str, int]  # reason → requests
    latencies: tuple[LatencyRow, ...]
    spent_usd: Decimal  # charged by live models
    resumed: int = 0  # requests that an earlier, interrupted run had done
