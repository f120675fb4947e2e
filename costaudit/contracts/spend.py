"""The part of the audit on spend: what cost money, and what was billed."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from costaudit.contracts.grades import Money

Charge = Literal["usage", "credit", "other"]  # other: taxes, fees and subscriptions
Covered = Literal["both", "invoice only", "log only", "log in part"]
CostMode = Literal["auto", "logged", "recomputed"]  # whose figure counts for a call


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
    month: Money | None = None  # per month; None for days and hours, and where the month is unknown


@dataclass(frozen=True)
class SampleRequest:
    """One request, as an example of its template."""

    request_id: str
    at: str  # ISO 8601, UTC; "" where the log has no time
    input_tokens: int
    output_tokens: int
    usd: Decimal
    latency_ms: float | None
    status: Literal["ok", "error"]


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
    """An endpoint with its templates, and their sample requests."""

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
    """Calls for which nothing shows whether the input includes cached tokens."""

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

    merged_calls: int = 0  # records that repeat a call, and are in no figure
    merged_usd: Decimal = Decimal(0)  # what counting them would add to the spend
    merged_reasons: dict[str, int] = field(default_factory=dict)  # as in SKIPS → records
    colliding_ids: int = 0  # ids under which there are several calls
    colliding_calls: int = 0
    # unknown name in a usage object → calls, sum; repeated records of calls included
    unread_usage: dict[str, tuple[int, float]] = field(default_factory=dict)
    # class of tokens or unit whose count can't be read → calls
    unreadable_usage: dict[str, int] = field(default_factory=dict)
    undecided: tuple[Undecided, ...] = ()


@dataclass(frozen=True)
class BilledTokens:
    """Tokens of a bill, in the classes of REQUESTS; writes of all lifetimes are one class."""

    input_uncached: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0

    @property
    def all(self) -> int:
        """Return the sum of the tokens of all classes."""
        return self.input_uncached + self.cache_read + self.cache_write + self.output

    def __add__(self, other: "BilledTokens") -> "BilledTokens":
        return BilledTokens(
            self.input_uncached + other.input_uncached,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.output + other.output,
        )


@dataclass(frozen=True)
class BillLine:
    """One line of a bill or of a usage report: a provider's day, or a part of it."""

    day: str  # YYYY-MM-DD, UTC
    provider: str  # as in REQUESTS
    model: str = ""  # "" where the line names none
    item: str = ""  # what the line says that it is for
    charge: Charge = "usage"
    amount: Decimal | None = None  # in `currency`; None in reports of tokens alone
    currency: str = "USD"
    tokens: BilledTokens | None = None  # None where the line counts none
    requests: int | None = None


@dataclass(frozen=True)
class Bill:
    """What the files of an invoice hold."""

    lines: tuple[BillLine, ...]
    days: dict[str, tuple[str, ...]]  # provider → the days that it covers, days of nothing included
    files: tuple[str, ...]
    left_out: int = 0  # lines of other services, which no model was called by
    is_cut: bool = False  # a page says that there are more pages
    notes: tuple[str, ...] = ()  # what is in several files, and how it was counted: sentences


@dataclass(frozen=True)
class InvoiceRow:
    """A model's day, or a model's days together, as billed and as counted from the log."""

    provider: str
    model: str  # "" where the invoice names no model
    day: str  # YYYY-MM-DD; "" for all days that both cover
    covered: Covered
    billed_usd: Decimal | None = None  # without credits; None where the invoice has no dollars
    counted_usd: Decimal | None = None  # None where the log has nothing
    difference_usd: Decimal | None = None  # billed - counted; None unless both are known
    billed_tokens: BilledTokens | None = None
    counted_tokens: BilledTokens | None = None
    billed_requests: int | None = None
    counted_requests: int | None = None


@dataclass(frozen=True)
class Reconciliation:
    """How an invoice agrees with the log, over the days that both cover."""

    files: tuple[str, ...]
    rows: tuple[InvoiceRow, ...]  # by provider and model, over the days that both cover
    days: tuple[InvoiceRow, ...]  # by provider, model and day, also of days that one covers
    billed_usd: Decimal | None  # over the days that both cover; None without any dollars
    counted_usd: Decimal  # of the invoice's providers, over these days
    credits_usd: Decimal = Decimal(0)  # negative; of all days, and in no other figure
    other_usd: Decimal = Decimal(0)  # taxes, fees and subscriptions; in no other figure
    currency: str = "USD"
    rates: dict[str, Decimal] = field(default_factory=dict)  # currency → dollars for a unit
    days_of_both: int = 0  # that both cover wholly
    partly: tuple[str, ...] = ()  # days of which the log lacks hours; not compared
    only_invoice: tuple[str, ...] = ()  # days that the log doesn't cover
    only_log: tuple[str, ...] = ()  # days that the invoice doesn't cover
    providers_without: tuple[str, ...] = field(default=())  # of the log, and not of the invoice
    gap_share: float | None = None  # (billed - counted) / billed, of dollars, else of tokens
    gap_of: Literal["dollars", "tokens"] = "dollars"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spend:
    """The cost of the log, by who and what caused it."""

    total: CostBreakdown
    cost_mode: CostMode  # what was asked for
    logged_usd: Decimal  # the part of the total that is the log's own figure
    # endpoint | tenant | model | day | hour, and where a log has them agent, user_rank and
    # session_rank: groups of at least five users or sessions by rank of cost, such as 13–120
    by: dict[str, tuple[SpendRow, ...]]
    prices: tuple[ModelPrice, ...]
    unpriced_requests: int
    unpriced_share: float  # of all tokens
    unpriced_models: tuple[str, ...]
    gateway_hits: int  # served by a gateway's cache: no spend, and no new saving
    # what the reader says the bill was, or what its files bill for the days of the log
    invoice_usd: Decimal | None
    invoice_gap_share: float | None  # (invoice - log) / invoice
    daily: tuple[DailyRow, ...] = ()  # by day and model, adding up to the total
    unpriced_units: tuple[str, ...] = ()  # billed units beyond text that have no known price
    counting: Counting = Counting()
    drill: tuple[EndpointSpend, ...] = ()  # the dearest endpoints
    invoice: Reconciliation | None = None  # where the files of an invoice were given
