"""A complete handwritten audit: 30 days of three models, with every section filled."""

from dataclasses import replace
from decimal import Decimal

from costaudit.contracts.audit import SCHEMA_VERSION, Assumption, Audit, Claim, Finding, Verdict
from costaudit.contracts.grades import Estimate
from costaudit.contracts.replay import Difference, HourRow, LatencyRow, ReplayCost, ReplaySection
from tests.report.sample_cost import money
from tests.report.sample_ledger import LEDGER, PLAN
from tests.report.sample_prefix import PREFIX
from tests.report.sample_semantic import SEMANTIC
from tests.report.sample_spend import QUALITY, SPEND

FINDINGS = (
    Finding(
        "prefix-timestamp",
        "problem",
        "A timestamp in the system prompt breaks the cache.",
        "288,000 calls to /v1/support/answer pay their instructions in full.",
        "Move the time behind the static instructions, or round it to the day.",
        money("3120", "simulated", "2900", "3330"),
        "prefix",
    ),
    Finding(
        "semantic-recommended",
        "info",
        "A semantic cache pays at similarity 0.93.",
        "It serves 15.6% of eligible requests; 0.43% of all answers would be wrong.",
        "Set the threshold to 0.93, with tenant, endpoint, model, system and tools in the key.",
        money("1910", "estimated", "1480", "2350"),
        "sweep",
    ),
    Finding(
        "retries",
        "warning",
        "Failed calls are paid and sent again.",
        "29,000 calls failed after their input was billed.",
        "Check the length of the input before sending; retry with backoff.",
        money("340", "measured"),
        "levers",
    ),
    Finding(
        "unpriced",
        "warning",
        "One model has no price.",
        "acme-internal-7b: 1,130 requests, 0.20% of all tokens.",
        "Give its rates in prices.toml.",
        None,
        "quality",
    ),
    Finding(
        "skipped-rows",
        "warning",
        "220 rows could not be read.",
        "171 with broken JSON, 49 without token counts.",
        "",
        None,
        "quality",
    ),
)

ASSUMPTIONS = (
    Assumption("Month", "30 days", "The log covers 30 days.", "--month-days"),
    Assumption("Wrong answers allowed", "1%", "The default bound.", "--max-wrong"),
    Assumption("Vector storage", "$0.25 per GB-month", "A common list price.", "--storage-usd"),
)

CLAIMS = (
    Claim(
        "52 % of queries are semantic hits at 0.79.",
        "52%",
        "30.9%",
        "fails",
        "With minilm, over all requests.",
        "simulated",
    ),
    Claim(
        "Latency falls by 71 to 81 %.", "71%", "", "untested", "Nothing was replayed.", "measured"
    ),
)
REPLAY = ReplaySection(
    cache="redis://localhost:6379",
    policy_id="semantic:min_similarity=0.93",
    pace="60 times the log's speed",
    requests=990_000,
    agreed=988_900,
    confusion={"hit": {"hit": 153_400, "miss": 600}, "miss": {"hit": 500, "miss": 835_500}},
    reasons={"rounding": 700, "approximate index": 400},
    errors={"timeout": 12},
    latencies=(
        LatencyRow("as logged", 990_000, 900, 3_100, 6_200),
        LatencyRow("through the cache", 990_000, 820, 3_050, 6_150),
        LatencyRow("hits", 153_900, 4.1, 9.7, 18.2),
    ),
    spent_usd=Decimal(0),
    both_hit=153_400,
    same_entry=153_100,
    differences=(
        Difference("r17", "hit", "miss", "rounding"),
        Difference("r940", "miss", "hit", "approximate index"),
    ),
    # 24 hours with 41,250 lookups each are 990,000; more of them hit by day than by night.
    hours=tuple(
        HourRow(f"{hour:02d}:00", 41_250, *((7_000, 6_990) if 8 <= hour < 20 else (5_833, 5_835)))
        for hour in range(24)
    ),
    daily=True,
    cost=ReplayCost(Decimal("41200.20"), Decimal("35010.50"), Decimal("35014.10")),
    unsafe_predicted=Estimate(0.004, "estimated", 0.002, 0.007),
    unsafe_served_share=Estimate(0.003997, "estimated", 0.001999, 0.006995),
    unsafe_from=(
        "The audit's estimate at similarity 0.93, 0.40% (0.20%–0.70%) of all requests over 154,000 "
        "simulated hits, scaled to the 153,900 hits that were served."
    ),
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
        spend=LEDGER.before,
        after=LEDGER.after_firm,
        saving=LEDGER.saving,
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
    claims=CLAIMS,
    replay=REPLAY,
)

NO_PROMPTS = replace(
    AUDIT,
    show_prompts=False,
    semantic=None,
    quality=replace(AUDIT.quality, prompt_share=0.0),
    prefix=None,
    plan=(),
    findings=(),
    claims=(),
    replay=None,
)
