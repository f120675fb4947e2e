"""`costaudit prefix` on logs that lack a part: it claims nothing that it can't see."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Said
from tests.ingest.conftest import write_lines

Run = Callable[..., Said]
ROW = json.loads(
    (Path(__file__).parents[2] / "sample_logs" / "formats" / "litellm.jsonl")
    .read_text()
    .splitlines()[0]
)
CALLS = 24
HEAD, TAIL = "You are a claims assistant. " * 40, "Be kind. " * 20


def row(n: int, system: str | None, read: int) -> dict[str, Any]:
    """Return a LiteLLM call, a minute after the one before: what it doesn't read, it writes."""
    one: dict[str, Any] = copy.deepcopy(ROW)
    start = 1_793_612_400 + 60 * n
    one |= {"id": f"c{n}", "call_id": f"k{n}", "startTime": start, "endTime": start + 2,
            "completionStartTime": start + 1, "response_cost": None}  # fmt: skip
    usage = {"prompt_tokens": 5_000, "completion_tokens": 20, "total_tokens": 5_020,
             "cache_read_input_tokens": read,
             "cache_creation_input_tokens": 4_800 - read}  # fmt: skip
    one |= {name: usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    one["metadata"]["usage_object"] = usage
    one["response"] |= {"id": f"c{n}", "usage": usage}
    marked = {"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}
    one["messages"] = system and [
        {"role": "system", "content": [marked]},
        {"role": "user", "content": f"Question {n}?"},
    ]
    return one


def cut(skipped: int) -> str:
    """Return a system prompt as LiteLLM's exporter shortens it."""
    return f"{HEAD}... (litellm_truncated skipped {skipped} chars) ...{TAIL}"


def found(run: Run, folder: Path, rows: list[dict[str, Any]]) -> Any:
    write_lines(folder / "log.jsonl", rows)
    said = run("prefix", "log.jsonl", "--format", "json", "--quiet")
    assert said.code == 0, said.err
    return json.loads(said.out)


@pytest.mark.parametrize(
    "skipped",
    [lambda n: 9_000 + n, lambda n: 9_000],  # the missing part differs, visibly or not
)
def test_a_part_that_the_exporter_cut_is_not_blamed(
    costaudit: Run, tmp_path: Path, skipped: Callable[[int], int]
) -> None:
    section = found(costaudit, tmp_path, [row(n, cut(skipped(n)), 0) for n in range(CALLS)])
    (template,) = section["templates"]
    assert template["claim"] == "none"
    assert float(section["saving_month"]["usd"]) == 0
    assert all(float(one["lost_usd_month"]["usd"]) == 0 for one in template["breakers"])
    assert not any("character" in one["where"] for one in template["breakers"])
    assert any(f"{CALLS} requests have a prompt that" in note for note in section["unconfirmed"])


def test_reads_on_the_bill_show_that_the_missing_part_is_the_same(
    costaudit: Run, tmp_path: Path
) -> None:
    rows = [row(n, cut(9_000), 4_800 if n else 0) for n in range(CALLS)]
    (template,) = found(costaudit, tmp_path, rows)["templates"]
    assert template["claim"] == "simulated"
    assert template["billed_read_share"] == pytest.approx(4_800 * (CALLS - 1) / (5_000 * CALLS))


def test_counters_without_prompts_are_reported_and_blamed_on_nothing(
    costaudit: Run, tmp_path: Path
) -> None:
    rows = [row(n, None, 4_800 * (n % 2)) for n in range(CALLS)]
    section = found(costaudit, tmp_path, rows)
    assert section["templates"] == []
    assert section["billed_read_share"]["value"] == pytest.approx(0.48)
    assert float(section["saving_month"]["usd"]) == 0
    assert any(f"{CALLS} requests carry no prompt" in note for note in section["unconfirmed"])


def test_hash_ids_that_repeat_within_a_prompt_share_only_equal_beginnings(
    costaudit: Run, tmp_path: Path
) -> None:
    """Of four blocks of 512 tokens, the first three are one id; the fourth is of three."""
    rows = [
        {"timestamp": 1000 * n, "input_length": 2_048, "output_length": 5,
         "hash_ids": [1, 1, 1, n % 3]}
        for n in range(60)
    ]  # fmt: skip
    section = found(costaudit, tmp_path, rows)
    shared = 2 * 1_536 + 57 * 2_048  # the first of each fourth block shares three
    assert section["static_share"]["value"] == pytest.approx(shared / (60 * 2_048))
