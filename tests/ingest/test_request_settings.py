"""REQUESTS has the settings that affect a provider's prefix and the labels of a call's origin."""

import json
from pathlib import Path
from typing import Any

import pytest

from costaudit.contracts.manifest import MANIFEST_VERSION, RedactionMode
from costaudit.errors import InputError, UsageError
from tests.ingest.conftest import Ingest, chat, write_lines

MESSAGES = {
    "ts": "2026-11-02T08:00:00Z",
    "request": {
        "model": "claude-sonnet-4-5",
        "max_tokens": 9,
        "tool_choice": {"type": "tool", "name": "track"},
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "messages": [{"role": "user", "content": "Where is it?"}],
    },
    "response": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "Here."}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 10, "output_tokens": 2},
    },
}


def asked(number: int, **settings: Any) -> dict[str, Any]:
    record = chat(number)
    record["request"] |= settings
    return record


def test_settings_of_the_prefix_are_canonical_json(tmp_path: Path, ingested: Ingest) -> None:
    log = write_lines(
        tmp_path / "log.jsonl",
        [
            asked(1, tool_choice="auto", prompt_cache_key="k1"),
            asked(2, response_format={"type": "json_object"}),
            asked(3, prompt_cache_options={"ttl": "12h", "mode": "explicit"}),
            asked(4, prompt_cache_options={"mode": "explicit", "ttl": "12h"}),
            asked(5),
        ],
    )
    rows = ingested(log)[0].requests()
    assert rows["tool_choice"].to_list() == ['"auto"', None, None, None, None]
    assert rows["cache_key"].to_list() == ["k1", None, None, None, None]
    assert rows["response_format"].to_list()[1] == '{"type":"json_object"}'
    assert rows["cache_options"].to_list()[2:4] == ['{"mode":"explicit","ttl":"12h"}'] * 2


def test_messages_settings_automatic_caching_and_lifetimes(
    tmp_path: Path, ingested: Ingest
) -> None:
    automatic = json.loads(json.dumps(MESSAGES))
    automatic["request"]["cache_control"] = {"type": "ephemeral", "ttl": "1h"}
    automatic["response"]["id"], automatic["ts"] = "msg_2", "2026-11-02T08:01:00Z"
    rows = ingested(write_lines(tmp_path / "log.jsonl", [MESSAGES, automatic]))[0].requests()
    assert rows["thinking"].to_list() == ['{"budget_tokens":1024,"type":"enabled"}'] * 2
    assert rows["tool_choice"].to_list() == ['{"name":"track","type":"tool"}'] * 2
    assert rows["auto_cache_ttl"].to_list() == [None, "1h"]
    markers = [[part["cache_marker"] for part in row] for row in rows["segments"].to_list()]
    assert markers == [[None], ["1h"]]


def test_a_breakpoint_may_name_any_lifetime(tmp_path: Path, ingested: Ingest) -> None:
    record = chat(1)
    record["request"]["messages"][0]["content"] = [
        {"type": "text", "text": "Help.", "prompt_cache_breakpoint": {"ttl": "12h"}}
    ]
    rows = ingested(write_lines(tmp_path / "log.jsonl", [record]))[0].requests()
    assert rows["segments"].to_list()[0][0]["cache_marker"] == "12h"


def test_a_run_of_another_version_is_ingested_again(tmp_path: Path, ingested: Ingest) -> None:
    log = write_lines(tmp_path / "log.jsonl", [chat(1)])
    run, _ = ingested(log)
    old = json.loads(run.manifest_path.read_text()) | {"manifest_version": MANIFEST_VERSION - 1}
    run.manifest_path.write_text(json.dumps(old))
    again, summary = ingested(log)
    assert summary.kept == 1
    assert again.manifest().manifest_version == MANIFEST_VERSION


@pytest.mark.parametrize("now", ["none", "mask"])
def test_an_old_redacted_run_is_not_read_again_with_more_text(
    now: RedactionMode, tmp_path: Path, ingested: Ingest
) -> None:
    log = write_lines(tmp_path / "log.jsonl", [chat(1)])
    run, _ = ingested(log, redact="hash")
    old = json.loads(run.manifest_path.read_text()) | {"manifest_version": MANIFEST_VERSION - 1}
    run.manifest_path.write_text(json.dumps(old))
    with pytest.raises(UsageError, match="redact hash"):
        ingested(log, redact=now)


def test_a_map_with_an_unknown_convention_is_refused(tmp_path: Path, ingested: Ingest) -> None:
    log = write_lines(tmp_path / "log.jsonl", [{"m": "gpt-4o", "in": 5, "out": 1, "how": "odd"}])
    fields = tmp_path / "map.toml"
    lines = ['model = "m"', 'input_tokens = "in"', 'output_tokens = "out"']
    fields.write_text("\n".join([*lines, 'convention = "=homemade"']))
    with pytest.raises(InputError, match="homemade") as caught:
        ingested(log, maps=(str(fields),))
    assert "inclusive" in caught.value.hint
    fields.write_text("\n".join([*lines, 'convention = "how"']))
    _, summary = ingested(log, maps=(str(fields),), into="other")
    assert summary.skip_reasons == {"unknown-convention": 1}


HOSTS = {
    "https://eu.api.openai.com/v1/chat/completions": "eu",
    "https://api.openai.com/v1/chat/completions": None,
    "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5": "us-east5",
    "https://aiplatform.googleapis.com/v1/projects/p/locations/global": None,
    "https://bedrock-runtime.us-gov-west-1.amazonaws.com/model/x/invoke": "us-gov-west-1",
}


@pytest.mark.parametrize("name", ["url", "base_url", "api_base", "host"])
def test_a_host_names_the_region(name: str, tmp_path: Path, ingested: Ingest) -> None:
    records = [chat(n) | {name: host} for n, host in enumerate(HOSTS)]
    rows = ingested(write_lines(tmp_path / "log.jsonl", records))[0].requests()
    assert rows["region"].to_list() == list(HOSTS.values())


def test_platforms_say_the_tier_among_the_parameters(tmp_path: Path, ingested: Ingest) -> None:
    observation = {"id": "o", "traceId": "t", "type": "GENERATION", "model": "gpt-5.4",
                   "usageDetails": {"input": 9, "output": 1}}  # fmt: skip
    run = {"id": "r", "trace_id": "t", "run_type": "llm", "dotted_order": "d", "prompt_tokens": 9,
           "completion_tokens": 1}  # fmt: skip
    tiers = {"flex": ("flex", False), "batch": ("standard", True), "auto": (None, False)}
    for tier, expected in tiers.items():
        told = {"service_tier": tier}
        extra = {"metadata": {"ls_model_name": "gpt-5.4"}, "invocation_params": told}
        for name, record in (
            ("langfuse", observation | {"modelParameters": told}),
            ("langsmith", run | {"extra": extra}),
        ):
            log = write_lines(tmp_path / f"{name}.jsonl", [record])
            rows = ingested(log, into=f"{name} {tier}")[0].requests()
            assert rows.select("service_tier", "is_batch").row(0) == expected
