"""What decides a price besides the usage: the tier and the address, wherever the log has them.

Worked out by hand from list prices per million tokens: gemini-2.5-flash 0.30 and 2.50, nova-pro
0.80 and 3.20, flex half of them; llama-3.3-70b-versatile at Groq 0.59 and 0.79; claude-sonnet-4-5
3 and 15, on Vertex AI in one region 10 % more.
"""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.spend import spend
from costaudit.ingest.calls.names import provider_of_url
from tests.ingest.conftest import Ingest, chat, write_lines

TS = "2026-11-03T10:00:00Z"


def gemini(request: dict[str, Any], **usage: Any) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": "Yes."}]}
    counts = {"promptTokenCount": 1000, "candidatesTokenCount": 100, "totalTokenCount": 1100}
    asked = {"model": "gemini-2.5-flash", "contents": [], **request}
    answer = {"candidates": [{"content": content, "finishReason": "STOP"}],
              "modelVersion": "gemini-2.5-flash", "usageMetadata": {**counts, **usage}}  # fmt: skip
    return {"ts": TS, "request": asked, "response": answer}


def converse(tier: dict[str, Any]) -> dict[str, Any]:
    answer = {"output": {"message": {"role": "assistant", "content": [{"text": "Yes."}]}},
              "stopReason": "end_turn", "usage": {"inputTokens": 1000, "outputTokens": 100,
                                                  "totalTokens": 1100}}  # fmt: skip
    asked = {"messages": [{"role": "user", "content": [{"text": "Is it?"}]}]}
    sides = {"input": {"inputBodyJson": asked}, "output": {"outputBodyJson": answer | tier}}
    return {"schemaType": "ModelInvocationLog", "timestamp": TS, "operation": "Converse",
            "requestId": "r", "modelId": "us.amazon.nova-pro-v1:0", "region": "us-east-1",
            **sides}  # fmt: skip


def at(address: str, model: str) -> dict[str, Any]:
    record = chat(1, tokens=(1000, 0, 100), base_url=address)
    record["request"]["model"] = record["response"]["model"] = model
    return record


PRICED = {  # record, tier, dollars; None: not priced
    "Vertex AI, flex": (gemini({}, trafficType="ON_DEMAND_FLEX"), "flex", "0.000275"),
    "Vertex AI": (gemini({}, trafficType="ON_DEMAND"), None, "0.00055"),
    "Vertex AI, bought capacity": (
        gemini({}, trafficType="PROVISIONED_THROUGHPUT"), "provisioned_throughput", None),
    "Gemini, flex": (gemini({"serviceTier": "SERVICE_TIER_FLEX"}), "flex", "0.000275"),
    "Gemini, standard": (gemini({"serviceTier": "standard"}), None, "0.00055"),
    "Converse, flex": (converse({"serviceTier": {"type": "flex"}}), "flex", "0.00056"),
    "Converse, default": (converse({"serviceTier": {"type": "default"}}), None, "0.00112"),
    "Groq": (at("https://api.groq.com/openai/v1", "llama-3.3-70b-versatile"), None, "0.000669"),
    "Vertex AI, one region": (
        at("https://us-east5-aiplatform.googleapis.com/v1", "claude-sonnet-4-5"), None, "0.00495"),
    "a proxy": (at("http://llm.internal:4000", "gpt-4o"), None, "0.0035"),
}  # fmt: skip


@pytest.mark.parametrize("name", PRICED)
def test_a_call_is_priced_by_its_tier_and_address(
    name: str, tmp_path: Path, ingested: Ingest
) -> None:
    record, tier, usd = PRICED[name]
    rows = ingested(write_lines(tmp_path / "log.jsonl", [record]))[0].requests()
    assert rows["service_tier"].to_list() == [tier]
    total = spend(rows, price_requests(rows)).total
    assert bool(total.unpriced) == (usd is None)
    assert total.total_usd == Decimal(usd or 0)


@pytest.mark.parametrize(
    ("address", "provider"),
    [
        ("https://shop.openai.azure.com/openai/deployments/api.openai.com", "azure"),
        ("https://bedrock-runtime.eu-west-1.amazonaws.com/model/x/converse", "aws"),
        ("api.x.ai", "x-ai"),
        ("https://gateway.example/?to=api.openai.com", None),
        ("https://proxy.example/v1/api.openai.com", None),
    ],
)
def test_only_the_host_names_the_provider(address: str, provider: str | None) -> None:
    assert provider_of_url(address) == provider
