"""Frozen settings of a simulated or live cache."""

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

from costaudit.errors import UsageError

ScopeField = Literal[
    "tenant", "user", "endpoint", "model", "provider", "system", "system_raw", "tools"
]
TtlKind = Literal["fixed", "sliding"]
CacheKey = Literal["last_user", "conversation", "full", "prompt"]
Eviction = Literal["lru", "lfu", "fifo"]
VisibleAfter = Literal["response", "request"]
DEFAULT_SCOPE: tuple[ScopeField, ...] = ("tenant", "endpoint", "model", "system", "tools")
BYPASSES = (
    "temperature", "tool_use", "finish_reason", "refusal", "no_answer", "images", "truncated",
)  # reasons to bypass that a cache may not know  # fmt: skip
SCOPE_FIELDS: tuple[ScopeField, ...] = (
    "tenant", "user", "endpoint", "model", "provider", "system", "system_raw", "tools",
)  # fmt: skip


@dataclass(frozen=True)
class SemanticPolicy:
    """Settings of a semantic response cache; raises UsageError for impossible settings."""

    min_similarity: (
        float  # cosine, float32; a request hits iff similarity >= this; > 1 = exact only
    )
    embedder: str = "minilm"
    scope: tuple[ScopeField, ...] = DEFAULT_SCOPE  # fields that must be equal for a hit
    key: CacheKey = "conversation"
    ttl_s: float | None = None  # None: entries never expire
    ttl_kind: TtlKind = "fixed"  # sliding: each hit renews it
    max_entries: int | None = None  # per scope partition of the simulation; None: no limit
    eviction: Eviction = "lru"
    visible_after: VisibleAfter = "response"
    guard: tuple[str, ...] = ()  # trap detectors that refuse a hit
    max_temperature: float = 1.0  # requests above it bypass the cache
    no_bypass: tuple[str, ...] = ()  # names of BYPASSES that the cache does not know
    scope_after: tuple[ScopeField, ...] = ()  # checked on the nearest entry only

    def __post_init__(self) -> None:
        if not (math.isfinite(self.min_similarity) and self.min_similarity > 0):
            raise UsageError(
                f"A similarity threshold of {self.min_similarity} can't be used.",
                hint="Give a cosine similarity above 0; above 1 means identical text only.",
            )
        if self.ttl_s is not None and not (math.isfinite(self.ttl_s) and self.ttl_s > 0):
            raise UsageError(
                f"A TTL of {self.ttl_s} seconds can't be used.",
                hint="Give a TTL above 0, or leave it out for entries that never expire.",
            )
        if self.max_entries is not None and self.max_entries < 1:
            raise UsageError(
                f"A cache of {self.max_entries} entries can't be used.",
                hint="Give at least 1 entry, or leave the limit out.",
            )
        others = [name for name in self.no_bypass if name not in BYPASSES]
        if others:
            raise UsageError(
                f"Unknown reason for a bypass {others[0]!r}.",
                hint=f"Choose from {', '.join(BYPASSES)}.",
            )
        if self.scope_after and (self.guard or self.max_entries is not None):
            raise UsageError(
                "A cache that compares fields after its lookup is simulated without guards and "
                "without a limit of entries.",
                hint="Leave --guard and --max-entries out, or --scope-after.",
            )
        unknown = [name for name in (*self.scope, *self.scope_after) if name not in SCOPE_FIELDS]
        if unknown:
            raise UsageError(
                f"Unknown scope field {unknown[0]!r}.",
                hint=f"Choose from {', '.join(SCOPE_FIELDS)}.",
            )

    @property
    def policy_id(self) -> str:
        """Name the policy in one printable line; equal policies have equal names."""
        return "semantic:" + ",".join(_printable(self))

    @classmethod
    def named(cls, policy_id: str) -> "SemanticPolicy":
        """Return the policy of a `policy_id`; raise UsageError if its version differs."""
        given = dict(part.partition("=")[::2] for part in policy_id.partition(":")[2].split(","))
        values: dict[str, Any] = {}
        for field in fields(cls):
            text = given.get(field.name)
            if text is None:
                continue
            if isinstance(field.default, tuple):
                values[field.name] = tuple(text.split("+")) if text != "none" else ()
            elif field.name == "max_entries":
                values[field.name] = None if text == "none" else int(text)
            elif field.name in ("min_similarity", "ttl_s", "max_temperature"):
                values[field.name] = None if text == "none" else float(text)
            else:
                values[field.name] = text
        return cls(**values)


@dataclass(frozen=True)
class PrefixPolicy:
    """Settings of a provider's prompt cache; raises UsageError for impossible settings."""

    rules: str = "own"  # name of a rule set; own: the rules of each request's provider
    markers: Literal["as_is", "best"] = "as_is"  # where requests ask for cache writes
    ttl: Literal["as_is", "5m", "1h"] = "as_is"

    @property
    def policy_id(self) -> str:
        """Name the policy in one printable line; equal policies have equal names."""
        return "prefix:" + ",".join(_printable(self))


def _printable(policy: SemanticPolicy | PrefixPolicy) -> list[str]:
    parts = []
    for field in fields(policy):
        value = getattr(policy, field.name)
        if field.name in ("no_bypass", "scope_after") and not value:
            continue  # policies keep their names from earlier runs
        if isinstance(value, tuple):
            value = "+".join(value) or "none"
        if isinstance(value, float):
            value = repr(value)
        parts.append(f"{field.name}={'none' if value is None else value}")
    return parts
