"""A whole audit, written by hand: 30 days of three models, with every section filled."""

from dataclasses import replace
from decimal import Decimal

from costaudit.contracts.audit import (
    SCHEMA_VERSION,
    Assumption,
    Audit,
    DataQuality,
    Finding,
    InputFile,
    Verdict,
)
from costaudit.contracts.grades import Estimate, Grade, Money
from costaudit.contracts.ledger import Ledger, LedgerStep, PlanStep
from costaudit.contracts.prefix import (
    Agreement,
    Breaker,
    PartShare,
    PrefixSection,
    ProviderRow,
    TemplateRow,
)
from costaudit.contracts.semantic import (
    ClusterRow,
    PairEvidence,
    ScopeRow,
    SemanticSection,
    SweepPoint,
    VariantRow,
)
from costaudit.contracts.spend import CostBreakdown, ModelPrice, Spend, SpendRow

D = Decimal


def money(
    usd: str, grade: Grade = "simulated", low: str | None = None, high: str | None = None
) -> Money:
    """Write an amount with its interval."""
    return Money(D(usd), grade, D(low) if low else None, D(high) if high else None)


def cost(requests: int, millions: tuple[str, str, str, str], rates: tuple[str, ...]) -> CostBreakdown:
    """Price millions of (uncached, read, 5m write, output) tokens at rates per million."""
    usd = [D(m) * D(r) for m, r in zip(millions, rates, strict=True)]
    uncached, read, write, output = (int(D(m) * 1_000_000) for m in millions)
    return CostBreakdown(
        requests=requests,
        input_uncached_tokens=uncached,
        cache_read_tokens=read,
        cache_write_5m_tokens=write,
        cache_write_1h_tokens=0,
        cache_write_other_tokens=0,
        output_tokens=output,
        input_uncached_usd=usd[0],
        cache_read_usd=usd[1],
        cache_write_usd=usd[2],
        output_usd=usd[3],
        total_usd=sum(usd, D(0)),
    )


def scaled(whole: CostBreakdown, part: str) -> CostBreakdown:
    """Take a part of a breakdown: tokens and requests in whole numbers, dollars exactly."""
    by = D(part)
    values = {
        name: int(value * by) if isinstance(value, int) else value * by
        for name, value in vars(whole).items()
    }
    return CostBreakdown(**values)  # type: ignore[arg-type]


def added(parts: list[CostBreakdown]) -> CostBreakdown:
    """Add breakdowns up."""
    return CostBreakdown(**{k: sum(getattr(p, k) for p in parts) for k in vars(parts[0])})


SONNET = ("3", "0.30", "3.75", "15")
MINI = ("0.15", "0.075", "0.15", "0.60")
GPT = ("2.50", "1.25", "2.50", "10")

# claude-sonnet-4-5: 6,000 x 3 + 4,000 x 0.30 + 400 x 3.75 + 500 x 15 = 18,000 + 1,200 + 1,500 + 7,500 = 28,200
# gpt-4o: 3,200 x 2.50 + 1,600 x 1.25 + 260 x 10 = 8,000 + 2,000 + 2,600 = 12,600
# gpt-4o-mini: 1,600 x 0.15 + 800 x 0.075 + 166.6666.. is awkward, so 1,600 x 0.15 + 800 x 0.075 + 0 + 167 x 0.60
#   = 240 + 60 + 100.20 = 400.20
BY_MODEL = {
    "claude-sonnet-4-5": cost(610_000, ("6000", "4000", "400", "500"), SONNET),
    "gpt-4o": cost(380_000, ("3200", "1600", "0", "260"), GPT),
    "gpt-4o-mini": cost(210_000, ("1600", "800", "0", "167"), MINI),
}
TOTAL = added(list(BY_MODEL.values()))  # 28,200 + 12,600 + 400.20 = 41,200.20


def spend_row(
    group: str, part: str, mean_input: float, p50: float | None = 900, p95: float | None = 3100
) -> SpendRow:
    return SpendRow(group, scaled(TOTAL, part), float(part), mean_input, p50, p95)


def days() -> tuple[SpendRow, ...]:
    """Thirty days: weekends at half the traffic of weekdays, contexts growing by 1 % a day."""
    weekend = {6, 7, 13, 14, 20, 21, 27, 28}  # June 6 and 7, 2026, and so on: 8 of 30 days
    rows = []
    for day in range(1, 31):
        part = "0.0192" if day in weekend else "0.03847272"  # 8 x 0.0192 + 22 x 0.03847272 = 1
        rows.append(
            spend_row(f"2026-06-{day:02}", part, 12_000 * 1.01**day, 850 + 4 * day, 2900 + 25 * day)
        )
    return tuple(rows)


def hours() -> tuple[SpendRow, ...]:
    """Twenty-four hours: 12 busy ones with 7 % each, 12 quiet ones with 4/3 %."""
    return tuple(
        spend_row(f"{hour:02}", "0.07" if 8 <= hour < 20 else "0.0133333333", 14_600)
        for hour in range(24)
    )


SPEND = Spend(
    total=TOTAL,
    cost_mode="auto",
    logged_usd=D("12600"),
    by={
        "endpoint": (
            spend_row("/v1/support/answer", "0.55", 15_800),
            spend_row("/v1/search/summarize", "0.30", 16_900),
            spend_row("/v1/triage", "0.10", 6_200),
            spend_row("", "0.05", 9_000, None, None),
        ),
        "tenant": (
            spend_row("northwind", "0.48", 15_100),
            spend_row("contoso", "0.33", 14_000),
            spend_row("fabrikam", "0.19", 13_900),
        ),
        "model": tuple(
            SpendRow(
                name,
                row,
                float(row.total_usd / TOTAL.total_usd),
                (row.input_uncached_tokens + row.cache_read_tokens + row.cache_write_5m_tokens)
                / row.requests,
                880,
                3050,
            )
            for name, row in BY_MODEL.items()
        ),
        "day": days(),
        "hour": hours(),
    },
    prices=(
        ModelPrice(
            "anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5", "standard",
            "2026-06-01", "2026-06-30", D("3"), D("0.3"), D("3.75"), D("6"), D("15"),
            610_000, "genai-prices 0.2.3", None, "",
        ),
        ModelPrice(
            "openai", "gpt-4o", "gpt-4o", "standard",
            "2026-06-01", "2026-06-30", D("2.5"), D("1.25"), D("2.5"), D("2.5"), D("10"),
            380_000, "genai-prices 0.2.3", 0.998, "",
        ),
        ModelPrice(
            "openai", "gpt-4o-mini", "gpt-4o-mini", "standard",
            "2026-06-01", "2026-06-30", D("0.15"), D("0.075"), D("0.15"), D("0.15"), D("0.6"),
            210_000, "genai-prices 0.2.3", 0.5, "The log's cost is half the list price: a batch rate?",
        ),
    ),
    unpriced_requests=1_130,
    unpriced_share=0.002,
    unpriced_models=("acme-internal-7b",),
    gateway_hits=4_210,
    invoice_usd=D("42130"),
    invoice_gap_share=0.0221,  # (42,130 - 41,200.20) / 42,130
)  # fmt: skip


def step(
    lever: str, label: str, section: str, requests: tuple[int, int], saved: Money, alone: Money,
    running: str, cost_after: str, note: str = "",
) -> LedgerStep:  # fmt: skip
    return LedgerStep(
        lever, label, section, *requests, saved, alone, money(running, "assumed"),
        scaled(TOTAL, cost_after), note,
    )  # fmt: skip


LEDGER = Ledger(
    before=money("41200.20", "measured"),
    steps=(
        step("duplicates", "Exact duplicates", "sweep", (1_200_000, 1_141_000),
             money("2060", "simulated"), money("2060"), "4.10", "0.95"),
        step("semantic", "Semantic cache at 0.93", "sweep", (1_141_000, 1_046_000),
             money("1910", "estimated", "1480", "2350"), money("2480", "estimated"), "61.40", "0.9021"),
        step("prompt_caching", "Prompt caching", "prefix", (1_046_000, 1_046_000),
             money("4930", "simulated", "4610", "5240"), money("6020"), "0", "0.7824"),
        step("routing", "Routing simple questions", "levers", (1_046_000, 1_046_000),
             money("0", "estimated"), money("0", "estimated"), "0", "0.7824",
             "No cheaper model answered well enough to be counted."),
        step("output", "Shorter answers", "levers", (1_046_000, 1_046_000),
             money("610", "estimated", "380", "850"), money("720", "estimated"), "0", "0.7676"),
        step("waste", "Retries and failed calls", "levers", (1_046_000, 1_031_000),
             money("340", "measured"), money("390", "measured"), "0", "0.7594"),
    ),
    overlap=money("1820", "estimated"),  # 2,060 + 2,480 + 6,020 + 720 + 390 - 9,850 = 1,820
    after=money("31350.20", "estimated", "30360.20", "32340.20"),  # 41,200.20 - 9,850
    covered_days=30.0,
    month_days=30.0,
)  # fmt: skip


def point(
    similarity: float, hits: int, unsafe: float, gross: str, net: str, recommended: bool = False
) -> SweepPoint:
    """One threshold over 990,000 eligible of 1,200,000 requests; 59,000 hits are exact."""
    raw = hits / 990_000
    wrong = unsafe * 1_200_000 / 990_000
    return SweepPoint(
        min_similarity=similarity,
        hits=hits,
        exact_hits=59_000,
        raw_hit_share=Estimate(raw, "simulated", raw * 0.96, raw * 1.04),
        raw_hit_share_all=Estimate(hits / 1_200_000, "simulated"),
        steady_hit_share=Estimate(raw * 1.06, "simulated"),
        valid_hit_share=Estimate(raw - wrong, "estimated", (raw - wrong) * 0.94, (raw - wrong) * 1.05),
        unsafe_served_share=Estimate(unsafe, "estimated", unsafe * 0.7, unsafe * 1.4),
        gross_saved_usd=D(gross),
        net_saved=Money(D(net), "estimated", D(net) * D("0.9"), D(net) * D("1.1")),
        peak_entries=990_000 - hits,
        recommended=recommended,
    )


def pair(
    request: str, matched: str, similarity: float, right: bool | None, flags: tuple[str, ...],
    question: str, other: str, answer: str, other_answer: str,
) -> PairEvidence:  # fmt: skip
    return PairEvidence(
        request, matched, similarity, 0.97 if right else 0.61, right, flags,
        question, other, answer, other_answer,
    )  # fmt: skip


GOOD_PAIR = pair(
    "req_000412", "req_000077", 0.981, True, (),
    "How do I reset my password?", "How can I reset my password?",
    "Open Settings, then Security, and choose Reset password.",
    "Open Settings, then Security, and choose Reset password.",
)  # fmt: skip
BAD_PAIR = pair(
    "req_018830", "req_000913", 0.944, False, ("numbers",),
    "Can I return an order after 14 days?", "Can I return an order after 45 days?",
    "Yes. Orders can be returned within 30 days of delivery.",
    "No. Orders can only be returned within 30 days of delivery.",
)  # fmt: skip
REFUSED_PAIR = pair(
    "req_020011", "req_004410", 0.938, False, ("negation",),
    "Is the Pro plan billed yearly?", "Is the Pro plan not billed yearly?",
    "Yes, yearly, with a monthly option.", "It can also be billed monthly.",
)  # fmt: skip


def scope(
    fields: tuple[str, ...], removed: str, partitions: int, raw: float, unsafe: float, net: str
) -> ScopeRow:
    return ScopeRow(
        fields, removed, partitions, Estimate(raw, "simulated", raw * 0.96, raw * 1.04),
        Estimate(raw * 0.97, "estimated", raw * 0.94, raw), Estimate(unsafe, "estimated", unsafe * 0.7, unsafe * 1.4),
        money(net, "estimated"),
    )  # fmt: skip


def variant(name: str, raw: float, unsafe: float, net: str, entries: int) -> VariantRow:
    return VariantRow(
        name, Estimate(raw, "simulated", raw * 0.96, raw * 1.04),
        Estimate(raw * 0.97, "estimated", raw * 0.94, raw), Estimate(unsafe, "estimated", unsafe * 0.7, unsafe * 1.4),
        money(net, "estimated"), entries,
    )  # fmt: skip


DEFAULT_SCOPE = ("tenant", "endpoint", "model", "system", "tools")
SEMANTIC = SemanticSection(
    policy_id="semantic:min_similarity=0.93,embedder=minilm,scope=tenant+endpoint+model+system+tools",
    embedder="minilm",
    embedder_revision="53aa51172d14",
    dimensions=384,
    eligible_requests=990_000,
    bypassed={"tool_calls": 141_000, "temperature": 52_000, "image": 17_000},
    distinct_texts=702_400,
    cut_texts=3_120,
    warm_up_requests=120_000,
    max_wrong_share=0.01,
    points=(
        point(0.80, 301_000, 0.0410, "9120", "5010"),
        point(0.85, 248_000, 0.0224, "7480", "4890"),
        point(0.88, 209_000, 0.0131, "6310", "4480"),
        point(0.90, 187_000, 0.0096, "5640", "4260"),
        point(0.92, 165_000, 0.0071, "4980", "4050"),
        point(0.93, 154_000, 0.0043, "4640", "3970", recommended=True),
        point(0.95, 131_000, 0.0028, "3940", "3420"),
        point(0.97, 104_000, 0.0012, "3120", "2760"),
        point(0.99, 71_000, 0.0002, "2190", "2010"),
    ),
    recommended=0.93,
    recommended_why="Most net money whose upper bound on unsafe answers, 0.60%, stays within 1%.",
    scopes=(
        scope((), "", 1, 0.262, 0.0181, "5900"),
        scope(("model",), "", 3, 0.241, 0.0139, "5480"),
        scope(("model", "system"), "", 41, 0.198, 0.0088, "4710"),
        scope(("model", "system", "tools"), "", 44, 0.197, 0.0087, "4700"),
        scope(DEFAULT_SCOPE, "", 117, 0.156, 0.0043, "3970"),
        scope((*DEFAULT_SCOPE, "user"), "", 41_220, 0.047, 0.0006, "1180"),
    ),
    without_field=(
        scope(("endpoint", "model", "system", "tools"), "tenant", 44, 0.197, 0.0087, "4700"),
        scope(("tenant", "model", "system", "tools"), "endpoint", 117, 0.156, 0.0043, "3970"),
    ),
    variants=(
        variant("ttl=3600s fixed", 0.103, 0.0021, "2640", 61_000),
        variant("ttl=3600s sliding", 0.117, 0.0025, "3010", 66_000),
        variant("max_entries=50000 lru", 0.139, 0.0037, "3590", 50_000),
        variant("guard=numbers+negation", 0.141, 0.0011, "3610", 849_000),
    ),
    clusters=(
        ClusterRow("c-7f3a91", "reset password account", 14_200, 1_980, D("512.40"), 0.0155, 0.83,
                   0.94, 0.97, 42.0, (GOOD_PAIR,)),
        ClusterRow("c-19be02", "return order days", 9_800, 2_310, D("431.10"), 0.0131, 0.64,
                   0.91, 0.78, 95.0, (BAD_PAIR,)),
        ClusterRow("c-misc00", "pro plan billed yearly", 6_100, 1_720, D("208.00"), 0.0063, 0.51,
                   0.89, None, None, ()),
    ),
    worst_pairs=(BAD_PAIR,),
    refused_pairs=(REFUSED_PAIR,),
    noise_floor=0.912,
    noise_floor_pairs=4_180,
    bytes_per_entry=2_912,
)  # fmt: skip

BREAKER = Breaker(
    "timestamp", "system, character 212 of 8,410", "…You are Ada. Now: ‹2026-06-14T09:12:33Z›. Answer…",
    288_000, 1_930_000_000, money("3120", "simulated", "2900", "3330"),
    "Move the time behind the static instructions, or round it to the day.", False,
)  # fmt: skip
EVICTION = Breaker(
    "ttl_gap", "before the first message", "‹gap of 11 minutes›", 41_000, 180_000_000,
    money("410"), "Ask for 1-hour writes on this template.", True,
)  # fmt: skip
PREFIX = PrefixSection(
    static_share=Estimate(0.71, "estimated", 0.69, 0.73),
    billed_read_share=Estimate(0.3636, "measured"),  # 6,400 of 17,600 million input tokens
    as_is=TOTAL,
    best=scaled(TOTAL, "0.8539"),
    saving_month=money("6020"),
    templates=(
        TemplateRow(
            "t-support-1", "/v1/support/answer", "anthropic", "claude-sonnet-4-5", 520_000, 8_900_000_000,
            0.78, 0.41, 0.42, 0.77, "after tools (1h), after system (5m)",
            'system=[{"type": "text", "text": INSTRUCTIONS,\n         "cache_control": {"type": "ephemeral"}}]',
            money("4810"),
            (
                PartShare("tools", 2_100_000_000, 2_080_000_000, 2_080_000_000),
                PartShare("system", 4_300_000_000, 1_120_000_000, 4_180_000_000),
                PartShare("documents", 1_400_000_000, 120_000_000, 300_000_000),
                PartShare("history", 800_000_000, 610_000_000, 610_000_000),
                PartShare("question", 300_000_000, 0, 0),
            ),
            (BREAKER, EVICTION),
        ),
        TemplateRow(
            "t-search-1", "/v1/search/summarize", "openai", "gpt-4o", 380_000, 4_800_000_000,
            0.52, 0.33, 0.34, 0.50, "automatic", "", money("1210"),
            (
                PartShare("system", 1_900_000_000, 1_880_000_000, 1_880_000_000),
                PartShare("documents", 2_700_000_000, 600_000_000, 620_000_000),
                PartShare("question", 200_000_000, 0, 0),
            ),
            (),
        ),
    ),
    providers=(
        ProviderRow("anthropic-5m", "Anthropic, 5-minute writes", scaled(TOTAL, "0.884"), 0.66, ()),
        ProviderRow("anthropic-1h", "Anthropic, 1-hour writes", scaled(TOTAL, "0.8539"), 0.71, ()),
        ProviderRow("openai", "OpenAI, automatic", scaled(TOTAL, "0.921"), 0.58,
                    ("Routing keeps a prefix on one machine up to 15 requests a minute.",)),
    ),
    agreement=(
        Agreement("anthropic", "claude-sonnet-4-5", 610_000, 4_000_000_000, 4_060_000_000, 1.015, 0.972),
        Agreement("openai", "gpt-4o", 380_000, 1_600_000_000, 1_640_000_000, 1.025, 0.941),
    ),
    unconfirmed=("How long OpenAI keeps an idle prefix: 10 minutes are assumed.",),
    capacity_curve=((1_000, 0.21), (4_000, 0.38), (16_000, 0.55), (64_000, 0.67), (256_000, 0.70)),
)  # fmt: skip

QUALITY = DataQuality(
    rows=1_206_400,
    kept=1_200_000,
    merged=6_180,
    skipped=220,
    skip_reasons={"bad-json": 171, "no-usage": 49},
    files=(
        InputFile("gateway-2026-06.jsonl.zst", "litellm", "litellm_params and response_cost in every line",
                  2_410_337_221, 1_206_000, 1_199_610, 6_180, 210),
        InputFile("batch-2026-06.jsonl", "openai_batch", "custom_id and response.body", 1_830_442,
                  400, 390, 0, 10),
    ),
    first_ts="2026-06-01T00:00:04Z",
    last_ts="2026-06-30T23:59:41Z",
    covered_days=30.0,
    timed_share=1.0,
    prompt_share=0.978,
    answer_share=0.951,
    usage={"provider": 1_181_000, "gateway": 17_300, "estimated": 1_700},
    conventions={"anthropic: input without cached": 610_000, "openai: input with cached": 590_000},
    statuses={"ok": 1_171_000, "error": 29_000},
    tokenizer="o200k_base",
    cannot_tell=(
        "Whether users were content with the answers: the log has no feedback.",
        "Time to first token: the log has none.",
    ),
)  # fmt: skip

FINDINGS = (
    Finding("prefix-timestamp", "problem", "A timestamp in the system prompt breaks the cache.",
            "288,000 calls to /v1/support/answer pay their instructions in full.",
            "Move the time behind the static instructions, or round it to the day.",
            money("3120", "simulated", "2900", "3330"), "prefix"),
    Finding("semantic-recommended", "info", "A semantic cache pays at similarity 0.93.",
            "It serves 15.6% of eligible requests; 0.43% of all answers would be wrong.",
            "Set the threshold to 0.93, with tenant, endpoint, model, system and tools in the key.",
            money("1910", "estimated", "1480", "2350"), "sweep"),
    Finding("retries", "warning", "Failed calls are paid and sent again.",
            "29,000 calls failed after their input was billed.",
            "Check the length of the input before sending; retry with backoff.",
            money("340", "measured"), "levers"),
    Finding("unpriced", "warning", "One model has no price.",
            "acme-internal-7b: 1,130 requests, 0.20% of all tokens.",
            "Give its rates in prices.toml.", None, "quality"),
    Finding("skipped-rows", "warning", "220 rows could not be read.",
            "171 with broken JSON, 49 without token counts.", "", None, "quality"),
)  # fmt: skip

PLAN = (
    PlanStep(1, "Move the timestamp out of the system prompt", "prompt_caching",
             "system = INSTRUCTIONS\nmessages[-1].content = f\"Now: {today}\\n\\n{question}\"",
             D("4"), D("600"), "the article's table", money("4930", "simulated", "4610", "5240"), D("0.12"), "simulated"),
    PlanStep(2, "Serve exact duplicates from a cache", "duplicates",
             "Key: tenant, endpoint, model, system, tools and the whole conversation.",
             D("16"), D("2400"), "the article's table", money("2060"), D("1.17"), "simulated"),
    PlanStep(3, "Add the semantic cache at 0.93", "semantic",
             "SemanticCache(distance_threshold=0.07)",
             D("60"), D("9000"), "the article's table", money("1910", "estimated", "1480", "2350"), D("4.71"), "estimated"),
)  # fmt: skip

ASSUMPTIONS = (
    Assumption("Month", "30 days", "The log covers 30 days.", "--month-days"),
    Assumption("Wrong answers allowed", "1%", "The default bound.", "--max-wrong"),
    Assumption("Vector storage", "$0.25 per GB-month", "A common list price.", "--storage-usd"),
)

AUDIT = Audit(
    schema_version=SCHEMA_VERSION,
    costaudit_version="0.1.0",
    prices_source="genai-prices 0.2.3, prices of 2026-06-30",
    show_prompts=True,
    verdict=Verdict(
        headline=(
            "Spend is $41,200 a month; $8,860 to $10,840 of it can be saved with the answers kept "
            "right (estimated, 97.8% of the invoice covered)."
        ),
        spend=money("41200.20", "measured"),
        after=money("31350.20", "estimated", "30360.20", "32340.20"),
        saving=money("9850", "estimated", "8860", "10840"),
        saving_share=0.2391,  # 9,850 / 41,200.20
        draft="",
        grade="estimated",
    ),
    quality=QUALITY,
    spend=SPEND,
    ledger=LEDGER,
    semantic=SEMANTIC,
    prefix=PREFIX,
    plan=PLAN,
    findings=FINDINGS,
    assumptions=ASSUMPTIONS,
)

NO_PROMPTS = replace(AUDIT, show_prompts=False, semantic=None, prefix=None, plan=(), findings=())
