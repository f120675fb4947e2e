"""The flex tier replaces a batch where the prompt cache is worth more than nothing."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.cli.conftest import write_log
from tests.conftest import Said
from tests.ingest.conftest import chat

Run = Callable[..., Said]
START = datetime(2026, 10, 12, 3, tzinfo=UTC)


@pytest.mark.parametrize(("model", "read", "tier"), [
    # 2,000 tokens, 1,600 of them read at a tenth; 50 out. By batch, all input at half price:
    # 2,000 x 0.625 + 50 x 5 = 1,500. By flex: 400 x 0.625 + 1,600 x 0.0625 + 50 x 5 = 600.
    ("gpt-5-2025-08-07", 1_600, "flex"),
    ("gpt-5-2025-08-07", 0, "batch"),  # equal prices: a batch is refused less often
    ("gpt-4o-2024-08-06", 1_600, "batch"),  # it has no flex tier
])  # fmt: skip
def test_the_cheaper_way_to_wait_is_chosen(
    model: str, read: int, tier: str, costaudit: Run, tmp_path: Path
) -> None:
    made = []
    for n in range(1_000):
        one = chat(n, f"Grade essay {n * 7919}.", answer=f"{n}.", model=model)
        at = START + timedelta(days=n // 100, seconds=3 * (n % 100))
        one |= {"timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "endpoint": "/grade"}
        one["request"]["model"] = one["response"]["model"] = model
        one["response"]["usage"] = {
            "prompt_tokens": 2_000, "completion_tokens": 50, "total_tokens": 2_050,
            "prompt_tokens_details": {"cached_tokens": read},
        }  # fmt: skip
        made.append(one)
    write_log(tmp_path / "log.jsonl", made)
    said = costaudit("levers", "log.jsonl", "--format", "json", "--quiet")
    (row,) = [one for one in json.loads(said.out) if one["lever"] == "batch"]
    assert ("flex" in row["change"]) is (tier == "flex")
    saved = sum((Decimal(one["saved_usd"]) for one in row["calls"]), Decimal(0)) / len(row["calls"])
    if model.startswith("gpt-5"):
        before = (2_000 - read) * Decimal("1.25") + read * Decimal("0.125") + 500
        after = Decimal(600 if tier == "flex" else 1_500)
        assert abs(saved - (before - after) / 1_000_000) < Decimal("0.000002")
