"""Twelve gpt-4o calls through the whole pipeline; every dollar can be checked by hand."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from costaudit.contracts.audit import Audit
from costaudit.contracts.run_dir import RunDir
from costaudit.pipeline.analyze import analyze
from costaudit.pipeline.settings import AnalyzeOptions

START = datetime(2026, 10, 5, 9, tzinfo=UTC)  # a Monday
INVOICE, KEYS, LEASE, ROOF, BOAT, OVEN, KITE = (
    "Where do I find the invoice of last month?", "Who keeps the keys of the boat house?",
    "How long does a lease of the blue barn run?", "Which slates does the chapel roof need?",
    "Name a boat builder near the old harbour.", "At what heat does the bread oven bake?",
    "Why does a kite need a tail in a strong wind?",
)  # fmt: skip
# minutes after the start, question, prompt, cached and answer tokens; dollars per million tokens:
# 2.50 uncached input, 1.25 cached input, 10 output
CALLS = (
    (0, INVOICE, 600_000, 0, 60_000),  # 1.50 + 0.60 = 2.10
    (30, INVOICE, 600_000, 0, 60_000),  # 2.10, and identical
    (60, KEYS, 200_000, 80_000, 100_000),  # 120,000 x 2.50 = 0.30, + 0.10 + 1.00 = 1.40
    (90, INVOICE, 600_000, 400_000, 60_000),  # 0.50 + 0.50 + 0.60 = 1.60, and identical
    (120, LEASE, 400_000, 0, 20_000),  # 1.00 + 0.20 = 1.20
    (150, ROOF, None, 0, 0),  # failed without a bill
    (180, BOAT, 900_000, 0, 90_000),  # served by the gateway: free
    (210, LEASE, 400_000, 0, 20_000),  # 1.20, and identical
    (240, ROOF, 100_000, 0, 10_000),  # 0.25 + 0.10 = 0.35; the first that is answered
    (270, OVEN, 300_000, 0, 30_000),  # 0.75 + 0.30 = 1.05
    (270.01, OVEN, 300_000, 0, 30_000),  # 1.05; 0.6 s later, before the answer above arrives
    (1440, KITE, 80_000, 0, 1),  # 0.20 + 0.00001 = 0.20001
)
SPENT = Decimal("12.25001")
IDENTICAL = Decimal("4.90")  # 2.10 + 1.60 + 1.20


def record(number: int) -> dict[str, Any]:
    minutes, question, sent, cached, received = CALLS[number]
    usage = {
        "prompt_tokens": sent, "completion_tokens": received,
        "total_tokens": (sent or 0) + received,
        "prompt_tokens_details": {"cached_tokens": cached},
    }  # fmt: skip
    message = {"role": "assistant", "content": f"So it is: {question}"}
    answered = {
        "id": f"x{number}", "object": "chat.completion", "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage,
    }  # fmt: skip
    return {
        "request_id": f"r{number}",
        "timestamp": (START + timedelta(minutes=minutes)).isoformat(),
        "endpoint": "/ask", "tenant": "t", "user": f"u{number}", "attempt": 1, "latency_ms": 1_000,
        "status": 500 if sent is None else 200,
        "cache_status": "HIT" if question == BOAT else "MISS",
        "request": {
            "model": "gpt-4o", "temperature": 0,
            "messages": [
                {"role": "system", "content": "You answer."}, {"role": "user", "content": question}
            ],
        },
        "response": {"error": {"message": "boom"}} if sent is None else answered,
    }  # fmt: skip


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    folder: Path = tmp_path_factory.mktemp("twelve")
    log = folder / "log.jsonl"
    told = [*range(len(CALLS)), 0]  # the first call is logged twice
    log.write_text("\n".join(json.dumps(record(number)) for number in told))
    return analyze([str(log)], RunDir(folder / "run"), AnalyzeOptions())


def test_what_was_spent(audit: Audit) -> None:
    total = audit.spend.total
    assert total.total_usd == SPENT
    # uncached: 600 + 600 + 120 + 200 + 400 + 400 + 100 + 300 + 300 + 80 thousand
    assert (total.input_uncached_tokens, total.cache_read_tokens) == (3_100_000, 480_000)
    assert (total.input_uncached_usd, total.cache_read_usd) == (Decimal("7.75"), Decimal("0.6"))
    assert (total.output_tokens, total.output_usd) == (390_001, Decimal("3.90001"))


def test_what_identical_questions_would_have_saved(audit: Audit) -> None:
    assert audit.semantic is not None and audit.semantic.exact is not None
    assert (audit.semantic.exact.hits, audit.semantic.exact.peak_entries) == (3, 6)
    assert audit.semantic.exact.gross_saved_usd == audit.semantic.exact.net_saved.usd == IDENTICAL


def test_what_the_ledger_leaves(audit: Audit) -> None:
    ledger = audit.ledger
    assert (audit.month.is_month, ledger.before.usd, ledger.before.grade) == (
        False, SPENT, "measured",
    )  # fmt: skip
    (step,) = ledger.steps
    assert (step.lever, step.requests_before, step.requests_after) == ("duplicates", 11, 8)
    assert step.saved.usd == step.alone.usd == ledger.saving.usd == IDENTICAL
    # left: 1,900,000 x 2.50 = 4.75, 80,000 x 1.25 = 0.10, 250,001 x 10 = 2.50001
    assert step.cost_after.total_usd == ledger.after.usd == Decimal("7.35001")
    assert (step.cost_after.input_uncached_tokens, step.cost_after.output_tokens) == (
        1_900_000, 250_001,
    )  # fmt: skip
    assert ledger.overlap.usd == 0


def test_a_call_that_is_told_twice_is_paid_once(audit: Audit) -> None:
    assert audit.spend.total.requests == 11  # without the one that the gateway served
    assert (audit.spend.counting.merged_calls, audit.spend.counting.merged_usd) == (
        1,
        Decimal("2.1"),
    )
