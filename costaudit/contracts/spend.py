"""The audit's section on spend: what cost money, and what was billed."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from costaudit.contracts.grades import Money

Charge = Literal["usage", "credit", "other"]  # other: taxes, fees and subscriptions
Covered = Literal["both", "invoice only", "log only", "log in part"]
CostMode = Literal["auto", "logged", "recomputed"]  # which figure counts as a call's cost


@dataclass(frozen=True)
class CostBreakdown:
    """Tokens and cost of a set of requests, by token class."""

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
    total_usd: Decimal  # sum of the four above and units_usd; or the logged cost if that was used
    units_usd: Decimal = Decimal(0)  # billed units other than text: searches, media, fees, ...
    # token class → tokens that no price or logged cost covers; "units" → such calls with units
    unpriced: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class SpendRow:
    """One group of a breakdown."""

    group: str  # the endpoint, tenant, model, day (YYYY-MM-DD) or hour (00..23); "" if not logged
    cost: CostBreakdown
    share: float  # of the whole log's cost
    mean_input_tokens: float  # per request; it grows as contexts grow
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    failed: int = 0  # requests with the status error
    month: Money | None = None  # per month; None for days and hours, and if the month is unknown


@dataclass(frozen=True)
class SampleRequest:
    """One request, as an example of its template."""

    request_id: str
    at: str  # ISO 8601, UTC; "" if the log has no time
    input_tokens: int
    output_tokens: int
    usd: Decimal
    latency_ms: float | None
    status: Literal["ok", "error"]
    unpriced: bool = False  # something in it has no known price


@dataclass(frozen=True)
class TemplateSpend:
    """What one prompt template of an endpoint cost."""

    template_id: str  # as in the section on prompt caching; "" if prompts are unknown
    model: str
    requests: int
    usd: Decimal
    share: float  # of the endpoint's cost
    failed: int
    samples: tuple[SampleRequest, ...]  # the most expensive, the median and the cheapest
    unpriced: bool = False  # something in it has no known price


@dataclass(frozen=True)
class EndpointSpend:
    """What one endpoint cost, with its templates."""

    endpoint: str  # "" if not logged
    requests: int
    usd: Decimal
    share: float  # of the whole log's cost
    failed: int
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    templates: tuple[TemplateSpend, ...]  # the most expensive ones
    all_templates: int  # number of all its templates
    unpriced: bool = False  # something in it has no known price


@dataclass(frozen=True)
class DailyRow:
    """The cost of one model on one day."""

    day: str  # YYYY-MM-DD; "" if the requests have no time
    provider: str
    model: str  # as logged
    cost: CostBreakdown
    # token class → tokens of calls without a list price but with a logged cost
    only_logged: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelPrice:
    """The prices used for one model over one period."""

    provider: str
    model: str  # as logged
    priced_as: str  # the model's name in the price table
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
    note: str  # a warning about the ratio or the price; may be empty


@dataclass(frozen=True)
class Undecided:
    """Calls whose log doesn't show whether input tokens include cached tokens."""

    source_file: str
    provider: str
    model: str
    convention: str  # the convention that was assumed
    requests: int
    usd: Decimal  # under that convention
    other_usd: Decimal  # under the other one


@dataclass(frozen=True)
class Counting:
    """How records became calls, and which parts of their usage were unread or undecided."""

    merged_calls: int = 0  # records that repeat a call, and aren't counted
    merged_usd: Decimal = Decimal(0)  # what counting them would add to the spend
    merged_reasons: dict[str, int] = field(default_factory=dict)  # reason, as in SKIPS → records
    colliding_ids: int = 0  # ids that several calls share
    colliding_calls: int = 0  # calls that share an id
    # unknown name in a usage object → calls, and sum of its values; includes repeated records
    unread_usage: dict[str, tuple[int, float]] = field(default_factory=dict)
    # token class or unit with an unreadable count → calls
    unreadable_usage: dict[str, int] = field(default_factory=dict)
    estimated: int = 0  # calls whose counts are a tokenizer's
    # unit of logged costs that is no part of a dollar, in lower case → calls
    foreign_costs: dict[str, int] = field(default_factory=dict)
    undecided: tuple[Undecided, ...] = ()


@dataclass(frozen=True)
class BilledTokens:
    """Tokens on a bill, in the classes of REQUESTS; cache writes of all lifetimes are one class."""

    input_uncached: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0

    @property
    def all(self) -> int:
        """The sum over all classes."""
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
    """One line of a bill or usage report: one provider's day, or a part of it."""

    day: str  # YYYY-MM-DD, UTC
    provider: str  # as in REQUESTS
    model: str = ""  # "" if the line names no model
    item: str = ""  # the line's own description
    charge: Charge = "usage"
    amount: Decimal | None = None  # in `currency`; None in reports that only count tokens
    currency: str = "USD"
    tokens: BilledTokens | None = None  # None if the line has no token counts
    requests: int | None = None


@dataclass(frozen=True)
class Bill:
    """The contents of an invoice's files."""

    lines: tuple[BillLine, ...]
    days: dict[str, tuple[str, ...]]  # provider → the days it covers, including days without usage
    files: tuple[str, ...]
    left_out: int = 0  # lines for services that aren't model calls
    is_cut: bool = False  # whether a page refers to further pages
    notes: tuple[str, ...] = ()  # sentences: what is in several files, and how it was counted


@dataclass(frozen=True)
class InvoiceRow:
    """One model on one day or over all days, as billed and as counted from the log."""

    provider: str
    model: str  # "" if the invoice names no model
    day: str  # YYYY-MM-DD; "" for all days that both cover
    covered: Covered
    billed_usd: Decimal | None = None  # without credits; None if the invoice has no dollars
    counted_usd: Decimal | None = None  # None if the log has no such calls
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
    days: tuple[InvoiceRow, ...]  # by provider, model and day, including days that only one covers
    billed_usd: Decimal | None  # over the days that both cover; None if there are no dollars
    counted_usd: Decimal  # for the invoice's providers, over these days
    credits_usd: Decimal = Decimal(0)  # negative; over all days, and in no other figure
    other_usd: Decimal = Decimal(0)  # taxes, fees and subscriptions; in no other figure
    currency: str = "USD"
    rates: dict[str, Decimal] = field(default_factory=dict)  # currency → dollars per unit
    days_of_both: int = 0  # days that both cover completely
    partly: tuple[str, ...] = ()  # days for which the log lacks hours; not compared
    only_invoice: tuple[str, ...] = ()  # days that the log doesn't cover
    only_log: tuple[str, ...] = ()  # days that the invoice doesn't cover
    providers_without: tuple[str, ...] = field(default=())  # in the log, but not in the invoice
    gap_share: float | None = None  # (billed - counted) / billed: of dollars, or else of tokens
    gap_of: Literal["dollars", "tokens"] = "dollars"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spend:
    """The cost of the log, by who and what caused it."""

    total: CostBreakdown
    cost_mode: CostMode  # as requested
    logged_usd: Decimal  # the part of the total that comes from logged costs
    # endpoint | tenant | model | day | hour, and if logged: agent, user_rank and session_rank,
    # which are groups of at least five users or sessions by rank of cost, such as 13–120
    by: dict[str, tuple[SpendRow, ...]]
    prices: tuple[ModelPrice, ...]
    unpriced_requests: int
    unpriced_share: float  # of all tokens
    unpriced_models: tuple[str, ...]
    gateway_hits: int  # calls served by a gateway's cache: no spend, and no new savings
    # the bill that the user stated, or what the invoice files bill for the days of the log
    invoice_usd: Decimal | None
    invoice_gap_share: float | None  # (invoice - log) / invoice
    daily: tuple[DailyRow, ...] = ()  # by day and model, adding up to the total
    unpriced_units: tuple[str, ...] = ()  # billed units other than text without a known price
    counting: Counting = Counting()
    drill: tuple[EndpointSpend, ...] = ()  # the most expensive endpoints
    invoice: Reconciliation | None = None  # only if invoice files were given
    unused_prices: tuple[str, ...] = ()  # sentences: entries of the user's prices without a call

    @property
    def has_price(self) -> bool:
        """Return whether amounts mean something; False if nothing in the log has a known price."""
        return bool(self.total.total_usd) or not self.total.unpriced
