"""Where the money went: a part of the audit."""

from dataclasses import dataclass, field
from decimal import Decimal

from costaudit.contracts.grades import Money


@dataclass(frozen=True)
class CostBreakdown:
    """Tokens and dollars of a set of requests, by token class."""

    requests: int
    input_uncached_tokens: int
    cache_read_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    cache_write_other_tokens: int
    output_tokens: int
    input_uncached_usd: Decimal
    cache_read_usd: Decimal
    cache_write_usd: Decimal  # all TTLs
    output_usd: Decimal
    total_usd: Decimal  # the sum of the four above and of the units, or the logged cost where
    # that was used
    units_usd: Decimal = Decimal(0)  # billed units beyond text: searches, media, fees, ...


@dataclass(frozen=True)
class SpendRow:
    """One group of a breakdown."""

    group: str  # the endpoint, tenant, model, day (YYYY-MM-DD) or hour (00..23); "" if not logged
    cost: CostBreakdown
    share: float  # of the dollars of the whole log
    mean_input_tokens: float  # per request: grows when contexts inflate
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    failed: int = 0  # requests whose status is error
    month: Money | None = None  # per month; None for days and hours, and where no month is told


@dataclass(frozen=True)
class SampleRequest:
    """One request, as an example of its template."""

    request_id: str
    at: str  # ISO 8601, UTC; "" where the log has no time
    input_tokens: int
    output_tokens: int
    usd: Decimal
    latency_ms: float | None
    status: str  # ok | error


@dataclass(frozen=True)
class TemplateSpend:
    """What one prompt template of an endpoint cost."""

    template_id: str  # as in the section on prompt caching; "" where prompts are not known
    model: str
    requests: int
    usd: Decimal
    share: float  # of the endpoint's dollars
    failed: int
    samples: tuple[SampleRequest, ...]  # the dearest, the median and the cheapest


@dataclass(frozen=True)
class EndpointSpend:
    """The way down from an endpoint to its templates and to requests."""

    endpoint: str  # "" if not logged
    requests: int
    usd: Decimal
    share: float  # of the dollars of the whole log
    failed: int
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    templates: tuple[TemplateSpend, ...]  # the dearest
    all_templates: int  # how many there are


@dataclass(frozen=True)
class DailyRow:
    """One model on one day."""

    day: str  # YYYY-MM-DD; "" where requests have no time
    provider: str
    model: str  # as logged
    cost: CostBreakdown


@dataclass(frozen=True)
class ModelPrice:
    """The rates that priced one model over one period."""

    provider: str
    model: str  # as logged
    priced_as: str  # the price table's own name
    service_tier: str
    since: str  # first and last request priced this way, YYYY-MM-DD
    until: str
    input_per_mtok: Decimal
    cache_read_per_mtok: Decimal
    cache_write_5m_per_mtok: Decimal
    cache_write_1h_per_mtok: Decimal
    output_per_mtok: Decimal
    requests: int
    source: str  # genai-prices VERSION, or the user's file
    logged_to_recomputed: float | None  # ratio of logged to recomputed cost; None without both
    note: str  # what the ratio or the rate warns of; may be empty


@dataclass(frozen=True)
class Undecided:
    """Calls of which nothing shows whether the input holds the cached tokens."""

    source_file: str
    provider: str
    model: str
    convention: str  # as it was read
    requests: int
    usd: Decimal  # as it was read
    other_usd: Decimal  # read the other way


@dataclass(frozen=True)
class Counting:
    """How records became calls, and what of their usage was not read or not decided."""

    merged_calls: int = 0  # records that tell a call again, and are in no figure
    merged_usd: Decimal = Decimal(0)  # what counting them would add to the spend
    merged_reasons: dict[str, int] = field(default_factory=dict)  # as in SKIPS → records
    colliding_ids: int = 0  # ids under which there are several calls
    colliding_calls: int = 0
    # unknown name in a usage object → calls, sum; calls told again included
    unread_usage: dict[str, tuple[int, float]] = field(default_factory=dict)
    undecided: tuple[Undecided, ...] = ()


@dataclass(frozen=True)
class Spend:
    """What the log cost, and who and what cost it."""

    total: CostBreakdown
    cost_mode: str  # logged | recomputed | auto: what was asked for
    logged_usd: Decimal  # the part of the total that is the log's own figure
    # endpoint | tenant | model | day | hour, and where a log has them agent, user_rank and
    # session_rank: groups of at least five users or sessions by rank of cost, such as 13–120
    by: dict[str, tuple[SpendRow, ...]]
    prices: tuple[ModelPrice, ...]
    unpriced_requests: int
    unpriced_share: float  # of all tokens
    unpriced_models: tuple[str, ...]
    gateway_hits: int  # served by a gateway's cache: no spend, and no new saving
    invoice_usd: Decimal | None  # what the reader says the bill was
    invoice_gap_share: float | None  # (invoice - log) / invoice
    daily: tuple[DailyRow, ...] = ()  # by day and model, adding up to the total
    unpriced_units: tuple[str, ...] = ()  # billed units beyond text that have no known price
    counting: Counting = Counting()
    drill: tuple[EndpointSpend, ...] = ()  # the dearest endpoints
