"""The sample audit's prompt caching section."""

from decimal import Decimal

from costaudit.contracts.grades import Estimate
from costaudit.contracts.prefix import (
    Agreement,
    Breaker,
    ExplicitCache,
    PartShare,
    PrefixSection,
    ProviderRow,
    SessionAgreement,
    TemplateRow,
)
from tests.report.sample_cost import money, scaled
from tests.report.sample_spend import TOTAL

BREAKER = Breaker(
    "timestamp",
    "system, character 212 of 8,410",
    "…You are Ada. Now: ‹2026-06-14T09:12:33Z›. Answer…",
    288_000,
    1_930_000_000,
    money("3120", "simulated", "2900", "3330"),
    "Move the time behind the static instructions, or round it to the day.",
    False,
)
EVICTION = Breaker(
    "ttl_gap",
    "before the first message",
    "‹gap of 11 minutes›",
    41_000,
    180_000_000,
    money("410"),
    "Ask for 1-hour writes on this template.",
    True,
)
PREFIX = PrefixSection(
    static_share=Estimate(0.71, "estimated", 0.69, 0.73),
    billed_read_share=Estimate(0.3636, "measured"),  # 6,400 of 17,600 million input tokens
    as_is=TOTAL,
    best=scaled(TOTAL, "0.8539"),
    saving_month=money("6020"),
    templates=(
        TemplateRow(
            "t-support-1",
            "/v1/support/answer",
            "anthropic",
            "claude-sonnet-4-5",
            520_000,
            8_900_000_000,
            0.78,
            0.41,
            0.42,
            0.77,
            "after tools (1h), after system (5m)",
            'system=[{"type": "text", "text": INSTRUCTIONS,\n'
            '         "cache_control": {"type": "ephemeral"}}]',
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
            "t-search-1",
            "/v1/search/summarize",
            "openai",
            "gpt-4o",
            380_000,
            4_800_000_000,
            0.52,
            0.33,
            0.34,
            0.50,
            "automatic",
            "",
            money("1210"),
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
        ProviderRow(
            "openai",
            "OpenAI, automatic",
            scaled(TOTAL, "0.921"),
            0.58,
            ("Routing keeps a prefix on one machine up to 15 requests a minute.",),
        ),
    ),
    agreement=(
        Agreement(
            "anthropic", "claude-sonnet-4-5", 610_000, 4_000_000_000, 4_060_000_000, 1.015, 0.972
        ),
        Agreement("openai", "gpt-4o", 380_000, 1_600_000_000, 1_640_000_000, 1.025, 0.941),
    ),
    unconfirmed=("How long OpenAI keeps an idle prefix: 10 minutes are assumed.",),
    session_agreement=SessionAgreement(40, 30, 6, 4),
    explicit_caches=(
        ExplicitCache(
            "t-mail-1",
            "/v1/mail/draft",
            "gemini-2.5-pro",
            31_000,
            "1h",
            62,
            155_000_000,
            3_600_000.0,
            Decimal("16.20"),
            Decimal("210.40"),
            Decimal("52.25"),
            money("158.15", "simulated"),
            'cache = client.caches.create(model=model, config={**head, "ttl": "3600s"})',
        ),
    ),
)
