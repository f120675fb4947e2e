"""The sample audit's spend and log quality."""

from costaudit.contracts.audit import DataQuality
from costaudit.contracts.manifest import InputFile
from costaudit.contracts.spend import ModelPrice, Spend, SpendRow
from tests.report.sample_cost import GPT, MINI, SONNET, D, added, cost, scaled

# claude-sonnet-4-5: 6,000 x 3 + 4,000 x 0.30 + 400 x 3.75 + 500 x 15
#   = 18,000 + 1,200 + 1,500 + 7,500 = 28,200
# gpt-4o: 3,200 x 2.50 + 1,600 x 1.25 + 260 x 10 = 8,000 + 2,000 + 2,600 = 12,600
# gpt-4o-mini: 1,600 x 0.15 + 800 x 0.075 + 167 x 0.60 = 240 + 60 + 100.20 = 400.20
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
    """Return 30 days; weekends have half the traffic of weekdays, contexts grow by 1 % a day."""
    weekend = {6, 7, 13, 14, 20, 21, 27, 28}  # June 6 and 7, 2026, and so on: 8 of 30 days
    rows = []
    for day in range(1, 31):
        part = "0.0192" if day in weekend else "0.03847272"  # 8 x 0.0192 + 22 x 0.03847272 = 1
        rows.append(
            spend_row(f"2026-06-{day:02}", part, 12_000 * 1.01**day, 850 + 4 * day, 2900 + 25 * day)
        )
    return tuple(rows)


def hours() -> tuple[SpendRow, ...]:
    """Return 24 hours: 12 busy ones with 7 % of the spend each, 12 quiet ones with 4/3 %."""
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
            "anthropic",
            "claude-sonnet-4-5",
            "claude-sonnet-4-5",
            "standard",
            "2026-06-01",
            "2026-06-30",
            D("3"),
            D("0.3"),
            D("3.75"),
            D("6"),
            D("15"),
            610_000,
            "genai-prices 0.2.3",
            None,
            "",
        ),
        ModelPrice(
            "openai",
            "gpt-4o",
            "gpt-4o",
            "standard",
            "2026-06-01",
            "2026-06-30",
            D("2.5"),
            D("1.25"),
            D("2.5"),
            D("2.5"),
            D("10"),
            380_000,
            "genai-prices 0.2.3",
            0.998,
            "",
        ),
        ModelPrice(
            "openai",
            "gpt-4o-mini",
            "gpt-4o-mini",
            "standard",
            "2026-06-01",
            "2026-06-30",
            D("0.15"),
            D("0.075"),
            D("0.15"),
            D("0.15"),
            D("0.6"),
            210_000,
            "genai-prices 0.2.3",
            0.5,
            "The log's cost is half the list price: a batch rate?",
        ),
    ),
    unpriced_requests=1_130,
    unpriced_share=0.002,
    unpriced_models=("acme-internal-7b",),
    gateway_hits=4_210,
    invoice_usd=D("42130"),
    invoice_gap_share=0.0221,  # (42,130 - 41,200.20) / 42,130
)


QUALITY = DataQuality(
    rows=1_206_400,
    kept=1_200_000,
    merged=6_180,
    skipped=220,
    skip_reasons={"bad-json": 171, "no-usage": 49},
    files=(
        InputFile(
            "gateway-2026-06.jsonl.zst",
            "litellm",
            "litellm_params and response_cost in every line",
            2_410_337_221,
            1_206_000,
            1_199_610,
            6_180,
            210,
        ),
        InputFile(
            "batch-2026-06.jsonl",
            "openai_batch",
            "custom_id and response.body",
            1_830_442,
            400,
            390,
            0,
            10,
        ),
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
)
