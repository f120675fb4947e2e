"""The part of the audit on prompt caching: what caches read now, and what they could read."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from typing import Literal

from costaudit.contracts.grades import Estimate, Money
from costaudit.contracts.spend import CostBreakdown

PromptPart = Literal["tools", "system", "examples", "documents", "history", "question"]
BreakerKind = Literal[
    "timestamp",
    "date",
    "uuid",
    "user",
    "counter",
    "documents",
    "environment",
    "whitespace",
    "json_key_order",
    "tool_order",
    "tool_set",
    "tool_changed",
    "image",
    "text",
    "variant",
    "order",
    "parallel",
    "ttl_gap",
    "lifetime",
    "below_minimum",
    "no_markers",
    "marker_placement",
    "implicit_breakpoint",
    "lookback",
    "history_rewritten",
    "tool_choice",
    "thinking",
    "response_format",
    "explicit_mode",
    "thinking_stripped",
    "model_switch",
    "region_switch",
    "write_only",
    "provider",
]


@dataclass(frozen=True)
class PartShare:
    """One part of a template's prompt."""

    part: PromptPart
    tokens: int
    static_tokens: int  # in a prefix that equals one of an earlier request
    reorderable_tokens: int  # static if dynamic parts moved after static parts


def parts_together(rows: Iterable[Iterable[PartShare]]) -> tuple[PartShare, ...]:
    """Return the sums of the parts of several templates."""
    sums: dict[PromptPart, list[int]] = {}
    for part in chain.from_iterable(rows):
        one = sums.setdefault(part.part, [0, 0, 0])
        one[0] += part.tokens
        one[1] += part.static_tokens
        one[2] += part.reorderable_tokens
    return tuple(PartShare(name, *one) for name, one in sums.items())


@dataclass(frozen=True)
class Breaker:
    """A place where prompts leave their template's static prefix."""

    kind: BreakerKind
    where: str  # part and position, such as system, character 212 of 8,410
    context: str  # text around the break, changing part in ‹ ›; redacted by default
    requests: int  # calls affected
    lost_tokens: int  # prefix tokens paid in full because of the break
    lost_usd_month: Money  # saving of the repair, simulated; provider side: the loss
    mend: str  # the exact change
    provider_side: bool  # eviction or routing: the application can't repair it


Claim = Literal["simulated", "estimated", "none"]  # basis of a template's saving


@dataclass(frozen=True)
class TemplateRow:
    """One prompt template: an endpoint and model with a shared skeleton."""

    template_id: str
    endpoint: str
    provider: str
    model: str
    requests: int
    input_tokens: int
    static_share: float  # of input tokens
    billed_read_share: float | None  # of input tokens, as billed
    as_is_read_share: float  # simulated
    best_read_share: float
    best_markers: str  # in words, such as after tools (1h), after system (5m)
    snippet: str  # code to paste; "" if the provider needs none
    saving_month: Money
    parts: tuple[PartShare, ...]
    breakers: tuple[Breaker, ...]
    read_ratio: float | None = None  # simulated reads / billed reads; None: no reads billed
    claim: Claim = "simulated"  # estimated: scaled to the bill; none: no dollars are claimed


@dataclass(frozen=True)
class OtherTemplates:
    """The templates with less input than those listed one by one, added up."""

    templates: int
    requests: int
    input_tokens: int
    saving_month: Money
    parts: tuple[PartShare, ...]


@dataclass(frozen=True)
class SessionAgreement:
    """How far simulated reads agree with billed reads, counted in sessions."""

    sessions: int
    within_5_percent: int
    within_25_percent: int  # sessions within 25 but not within 5 %
    beyond: int


@dataclass(frozen=True)
class ProviderRow:
    """The same traffic under one provider's rules."""

    rules: str  # rule set name
    label: str  # for people, such as Anthropic, 1-hour writes
    cost: CostBreakdown
    read_share: float
    unconfirmed: tuple[str, ...]  # assumptions that no vendor document confirms


@dataclass(frozen=True)
class ExplicitCache:
    """A cache that the application creates for a template's static prefix and pays by the hour.

    Each use renews the cache. It replaces the plan of the template; savings do not add up.
    """

    template_id: str
    endpoint: str
    model: str
    requests: int  # requests that would read from the cache
    lifetime: str  # after each use, such as 1h; the cheapest one
    creations: int
    cached_tokens: int  # tokens read from the cache, over the log
    token_hours: float  # tokens × hours stored, over the log
    storage_usd: Decimal
    before_usd: Decimal  # these requests as billed
    after_usd: Decimal  # creation, reads, storage and the uncached input
    saving_month: Money  # below 0 where the cache costs more
    snippet: str = ""  # code to paste; "" for a client or a prompt for which there is none


@dataclass(frozen=True)
class Agreement:
    """Compare simulated cache reads with billed cache reads, for one model."""

    provider: str
    model: str
    requests: int
    billed_read_tokens: int
    simulated_read_tokens: int
    ratio: float | None  # simulated / billed; None where nothing was billed
    within_5_percent_share: float  # of requests


@dataclass(frozen=True)
class CapacityPoint:
    """The hit share that a self-hosted server's LRU block cache would have at one size."""

    blocks: int | None  # None: no limit
    block_hit_share: float
    token_hit_share: float  # of input tokens


@dataclass(frozen=True)
class PrefixSection:
    """Prompt caching over the whole log."""

    static_share: Estimate  # of input tokens
    billed_read_share: Estimate | None
    as_is: CostBreakdown
    best: CostBreakdown
    saving_month: Money
    templates: tuple[TemplateRow, ...]  # most input first
    providers: tuple[ProviderRow, ...]
    agreement: tuple[Agreement, ...]
    unconfirmed: tuple[str, ...]
    session_agreement: SessionAgreement = SessionAgreement(0, 0, 0, 0)
    explicit_caches: tuple[ExplicitCache, ...] = ()  # largest saving first
    other_templates: OtherTemplates | None = None  # None: all templates are listed

    @property
    def parts(self) -> tuple[PartShare, ...]:
        """Return the parts of all prompts."""
        others = [self.other_templates.parts] if self.other_templates else []
        return parts_together([*(one.parts for one in self.templates), *others])

    @property
    def better_caches(self) -> tuple[ExplicitCache, ...]:
        """Return the explicit caches that save more than the plans that they replace."""
        return tuple(
            one
            for one in self.explicit_caches
            if one.saving_month.usd > max(self.planned(one), Decimal(0))
        )

    def planned(self, cache: ExplicitCache) -> Decimal:
        """Return what the plan that an explicit cache replaces saves a month."""
        place = (cache.template_id, cache.endpoint, cache.model)
        plans = (
            one.saving_month.usd
            for one in self.templates
            if (one.template_id, one.endpoint, one.model) == place
        )
        return next(plans, Decimal(0))


BREAKER_NAMES: dict[BreakerKind, str] = {
    "timestamp": "Timestamp",
    "date": "Date",
    "uuid": "Identifier",
    "user": "User's own data",
    "counter": "Changing number",
    "documents": "Retrieved text",
    "environment": "Working directory or branch",
    "whitespace": "Changing white space",
    "json_key_order": "Changing order of JSON keys",
    "tool_order": "Changing order of tools",
    "tool_set": "Changing set of tools",
    "tool_changed": "Changing tool description",
    "image": "Changing image",
    "text": "Changing text",
    "variant": "Texts that take turns",
    "order": "Changing order of parts",
    "parallel": "Parallel requests before the first answer",
    "ttl_gap": "Pauses longer than the cache lives",
    "lifetime": "Pauses longer than any cache lives",
    "below_minimum": "Prompts too short to be cached",
    "no_markers": "No cache markers",
    "marker_placement": "Misplaced cache markers",
    "implicit_breakpoint": "Automatic breakpoint behind text that changes",
    "lookback": "Too many blocks since the last marker",
    "history_rewritten": "Rewritten history",
    "tool_choice": "Changing tool choice",
    "thinking": "Changing thinking setting",
    "response_format": "Changing output format",
    "explicit_mode": "Caching switched off by its mode",
    "thinking_stripped": "Thinking blocks left out",
    "model_switch": "Model switched in a conversation",
    "region_switch": "Region switched in a conversation",
    "write_only": "Cache writes that nobody reads",
    "provider": "Entries evicted early or routed elsewhere",
}


def breaker_name(kind: BreakerKind) -> str:
    """Return the name of a kind of breaker, for people."""
    return BREAKER_NAMES[kind]
