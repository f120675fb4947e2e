"""The sample audit's waterfall and plan."""

from costaudit.contracts.grades import Money
from costaudit.contracts.ledger import Ledger, LedgerStep, PlanStep
from tests.report.sample_cost import D, money, scaled
from tests.report.sample_spend import TOTAL


def step(
    lever: str,
    label: str,
    section: str,
    requests: tuple[int, int],
    saved: Money,
    alone: Money,
    running: str,
    cost_after: str,
    note: str = "",
) -> LedgerStep:
    return LedgerStep(
        lever,
        label,
        section,
        *requests,
        saved,
        alone,
        money(running, "assumed"),
        scaled(TOTAL, cost_after),
        note,
    )


LEDGER = Ledger(
    before=money("41200.20", "estimated", "38900", "43700"),
    steps=(
        step(
            "duplicates",
            "Exact duplicates",
            "sweep",
            (1_200_000, 1_141_000),
            money("2060", "simulated"),
            money("2060"),
            "4.10",
            "0.95",
        ),
        step(
            "semantic",
            "Semantic cache at 0.93",
            "sweep",
            (1_141_000, 1_046_000),
            money("1910", "estimated", "1480", "2350"),
            money("2480", "estimated"),
            "61.40",
            "0.9021",
        ),
        step(
            "prompt_caching",
            "Prompt caching",
            "prefix",
            (1_046_000, 1_046_000),
            money("4930", "simulated", "4610", "5240"),
            money("6020"),
            "0",
            "0.7824",
        ),
        step(
            "tools",
            "Tool definitions that are never called",
            "levers",
            (1_046_000, 1_046_000),
            money("0", "estimated"),
            money("0", "estimated"),
            "0",
            "0.7824",
            "Every tool was called.",
        ),
        step(
            "serialisation",
            "JSON in prompts without indentation",
            "levers",
            (1_046_000, 1_046_000),
            money("610", "estimated", "380", "850"),
            money("720", "estimated"),
            "0",
            "0.7676",
        ),
        step(
            "waste",
            "Retries and failed calls",
            "levers",
            (1_046_000, 1_031_000),
            money("340", "measured"),
            money("390", "measured"),
            "0",
            "0.7594",
        ),
    ),
    overlap=money("-240", "estimated"),  # (2,480, which includes 2,060) + 6,020 + 720 + 390 - 9,850
    after=money("31350.20", "estimated", "30360.20", "32340.20"),  # 41,200.20 - 9,850
    covered_days=30.0,
    month_days=30.4375,
    saving=money("9850", "estimated", "8860", "10840"),
    after_firm=money("31350.20", "estimated", "30360.20", "32340.20"),
)


PLAN = (
    PlanStep(
        1,
        "Move the timestamp out of the system prompt",
        "prompt_caching",
        'system = INSTRUCTIONS\nmessages[-1].content = f"Now: {today}\\n\\n{question}"',
        D("4"),
        D("600"),
        "a published table",
        money("4930", "simulated", "4610", "5240"),
        D("0.12"),
        "simulated",
    ),
    PlanStep(
        2,
        "Serve exact duplicates from a cache",
        "duplicates",
        "Key: tenant, endpoint, model, system, tools and the whole conversation.",
        D("16"),
        D("2400"),
        "a published table",
        money("2060"),
        D("1.17"),
        "simulated",
        2_384,  # 4.10 x 1,200,000 / (2,060 + 4.10) = 2,383.6
    ),
    PlanStep(
        3,
        "Add the semantic cache at 0.93",
        "semantic",
        "SemanticCache(distance_threshold=0.07)",
        D("60"),
        D("9000"),
        "a published table",
        money("1910", "estimated", "1480", "2350"),
        D("4.71"),
        "estimated",
        35_537,  # 61.40 x 1,141,000 / (1,910 + 61.40) = 35,536.9
    ),
)
