"""Every source reports the numbers next to its counts that it doesn't read."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from costaudit.ingest.sources.table import BY_NAME
from tests.ingest.conftest import Ingest, chat, write_lines
from tests.ingest.formats import FORMATS, sample_of
from tests.ingest.variants import records_of

NAME, NUMBER = "surprise_tokens", 1_009
USUAL = ("output_tokens", "completion_tokens", "candidatesTokenCount", "candidates_token_count")
SAMPLE = {"otel": "otel_events", "gemini_cli": "gemini_cli_lines"}  # source → sample, if it differs
BESIDE = {  # source → counts in its samples, and the name of a number planted next to them
    "aider": ("completion_tokens", NAME),
    "azure_apim": ("CompletionTokens", "SurpriseTokens"),
    "azure_trace": ("GeneratedTokens", "SurpriseTokens"),
    "burstgpt": ("Response tokens", "Surprise tokens"),
    "cline": ("tokensOut", "surpriseTokens"),
    "cloudflare": ("tokens_out", NAME),
    "copilot_cli": ("outputTokens", "surpriseTokens"),
    "cursor": ("Output Tokens", "Surprise Tokens"),
    "gemini_cli": ("thoughts", NAME),
    "kv_trace": ("out", NAME),
    "langfuse": ("output", NAME),
    "mapped": ("out", NAME),
    "mooncake": ("output_length", NAME),
    "openrouter": ("native_tokens_completion", NAME),
    "opencode": ("reasoning", NAME),
    "opik": ("original_usage.completion_tokens", f"original_usage.{NAME}"),
    "otel": ("gen_ai.usage.output_tokens", f"gen_ai.usage.{NAME}"),
    "phoenix": ("attributes.llm.token_count.total", f"attributes.llm.token_count.{NAME}"),
    "portkey": ("completion_tokens", NAME),
    "posthog": ("$ai_output_tokens", f"$ai_{NAME}"),
}
NO_CALLS = {"daily_totals": "its records are totals of a day, and are refused as a log"}


def planted(value: Any, beside: tuple[str, ...], name: str) -> Any:
    """Return a value with a number planted next to each of these counts, also in JSON strings."""
    if isinstance(value, dict):
        found = {key: planted(inner, beside, name) for key, inner in value.items()}
        return {**found, name: NUMBER} if found.keys() & set(beside) else found
    if isinstance(value, list):
        more = [
            {**item, "key": name, "value": {"intValue": str(NUMBER)}}
            for item in value
            if isinstance(item, dict) and item.get("key") in beside
        ]
        return [planted(item, beside, name) for item in value] + more
    if isinstance(value, str) and value[:1] in "[{" and any(one in value for one in beside):
        return json.dumps(planted(json.loads(value), beside, name))
    return value


def write(path: Path, sample: Path, beside: tuple[str, ...], name: str) -> None:
    """Write a sample with the planted numbers."""
    records = records_of(sample)
    if sample.suffix == ".csv":
        comma = ";" if sample.name == "mapped.csv" else ","
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, [*records[0], name], delimiter=comma)
            table.writeheader()
            table.writerows({**record, name: NUMBER} for record in records)
        return
    start = "data: " if sample.suffix == ".sse" else ""
    lines = (json.dumps(planted(record, beside, name)) for record in records)
    path.write_text("".join(f"{start}{line}\n" for line in lines), "utf-8")


@pytest.mark.parametrize("source", sorted((BY_NAME.keys() | {"mapped"}) - NO_CALLS.keys()))
def test_a_number_beside_the_counts_is_said(source: str, ingested: Ingest, tmp_path: Path) -> None:
    sample = sample_of(SAMPLE.get(source, source))
    count, name = BESIDE.get(source, ("", NAME))
    log = tmp_path / f"log{'.jsonl' if sample.suffix == '.json' else sample.suffix}"
    write(log, sample, (count,) if count else USUAL, name)
    mapping = FORMATS / f"{sample.stem}.map.toml"
    _, summary = ingested(log, maps=(str(mapping),) if mapping.exists() else ())
    assert source in summary.files[0].source or source in summary.files[0].evidence
    totals = {
        field: total
        for field, (_, total) in summary.unread_usage.items()
        if field.lower().replace(" ", "_").endswith(("surprise_tokens", "surprisetokens"))
    }
    assert totals and all(total % NUMBER == 0 for total in totals.values())
    assert summary.unread_usage.keys() == totals.keys()  # and nothing else is reported


def test_ollama_says_what_stands_beside_its_counts(ingested: Ingest, tmp_path: Path) -> None:
    answer = {"model": "llama3.2", "done": True, "message": {"role": "assistant", "content": "Yes"},
              "total_duration": 2_100, "load_duration": 5, "prompt_eval_count": 31,
              "prompt_eval_duration": 9, "eval_count": 6, "eval_duration": 11}  # fmt: skip
    request = {"model": "llama3.2", "messages": [{"role": "user", "content": "Is it there?"}]}
    pairs = [{"request": request, "response": answer | more} for more in ({}, {NAME: NUMBER})]
    bare = write_lines(tmp_path / "bare.jsonl", [answer | {NAME: NUMBER}])
    _, summary = ingested(write_lines(tmp_path / "log.jsonl", pairs))
    assert summary.unread_usage == {NAME: (1, NUMBER)}
    assert ingested(bare, into="bare")[1].unread_usage == {NAME: (1, NUMBER)}


def test_settings_and_times_are_no_counts(ingested: Ingest, tmp_path: Path) -> None:
    usage = {"max_output_tokens": 900, "time_to_first_token_ms": 30, "tokens_remaining": 5}
    record = chat(1)
    record["response"]["usage"] |= usage
    _, summary = ingested(write_lines(tmp_path / "log.jsonl", [record]))
    assert summary.unread_usage == {}
