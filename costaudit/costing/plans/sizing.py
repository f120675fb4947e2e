"""Estimate what a response cache needs: memory at its peak, and tokens to embed."""

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

from costaudit.contracts.policies import SemanticPolicy
from costaudit.costing.prices.lookup import price_of

_HOSTED = {"openai": "openai", "bedrock": "aws", "azure": "azure", "cohere": "cohere"}
FLOAT_BYTES = 4
HASH_OVERHEAD_BYTES = 480  # keys, field names, metadata fields and the allocator, as RedisVL stores
INDEX_OVERHEAD_BYTES = 160  # row of the index, without its copy of the vector
HEADROOM = 1.25  # fragmentation, and growth between two checks
_BASE_BYTES = 64 << 20  # an idle server with its modules
_MIB = 1 << 20
_POLICIES = {"lru": "allkeys-lru", "lfu": "allkeys-lfu", "fifo": "volatile-ttl"}


def embedding_per_mtok(embedder: str, as_of: date, overrides: Path | None = None) -> Decimal | None:
    """Return the price of a hosted embedder such as openai:NAME; 0 if local, None if unknown."""
    host, _, model = embedder.partition(":")
    if host not in _HOSTED or not model:
        return Decimal(0)
    at = datetime.combine(as_of, time(12), UTC)
    rates = price_of(model, _HOSTED[host], at=at, overrides=overrides).rates
    return Decimal(rates["input_per_mtok"][0]) if len(rates) else None


@dataclass(frozen=True)
class Sizing:
    """Memory of the cache at its peak."""

    entries: int
    bytes_per_entry: int
    total_bytes: int
    maxmemory_mib: int  # Redis setting: the total with headroom, on an otherwise empty server
    maxmemory_policy: str  # Redis setting


def size_cache(
    policy: SemanticPolicy,
    entries: int,
    dimensions: int,
    mean_text_bytes: float,
    mean_answer_bytes: float,
) -> Sizing:
    """Return the size of entries in Redis: the vector twice (hash and index), question, answer.

    The overheads are rounded, for RedisVL's layout; they vary with versions and field names.
    """
    each = math.ceil(
        2 * FLOAT_BYTES * dimensions
        + HASH_OVERHEAD_BYTES
        + INDEX_OVERHEAD_BYTES
        + mean_text_bytes
        + mean_answer_bytes
    )
    total = entries * each
    return Sizing(
        entries=entries,
        bytes_per_entry=each,
        total_bytes=total,
        maxmemory_mib=math.ceil((total * HEADROOM + _BASE_BYTES) / _MIB),
        maxmemory_policy=_POLICIES[policy.eviction],
    )
