"""Fixtures with the sample logs, decoded from the files in the repository."""

import csv
import gzip
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard

ROOT = Path(__file__).parent.parent.parent
LOGS = ROOT / "sample_logs"
TRUTH = ROOT / "tests" / "data"
sys.path.insert(0, str(LOGS))


class Request(msgspec.Struct):
    model: str
    messages: list[dict[str, Any]]
    tools: msgspec.Raw
    temperature: float
    max_tokens: int


class Record(msgspec.Struct):
    request_id: str
    timestamp: datetime
    endpoint: str
    tenant: str
    user: str
    conversation_id: str
    attempt: int
    latency_ms: int
    status: int
    cache_status: str
    cost_usd: float
    request: Request
    response: dict[str, Any] | None
    root_request_id: str | None = None

    @property
    def question(self) -> str:
        return str([m["content"] for m in self.request.messages if m["role"] == "user"][-1])

    @property
    def answer(self) -> str:
        choices = (self.response or {}).get("choices")
        return str(choices[0]["message"]["content"] or "") if choices else ""

    @property
    def usage(self) -> dict[str, Any]:
        found: dict[str, Any] = (self.response or {}).get("usage", {})
        return found


@dataclass(frozen=True)
class Chatbot:
    records: list[Record]
    truth: list[dict[str, str]]

    def pairs(self) -> list[tuple[Record, dict[str, str]]]:
        return list(zip(self.records, self.truth, strict=True))


def chatbot_bytes() -> bytes:
    packed = (LOGS / "support_chatbot.jsonl.zst").read_bytes()
    return zstandard.ZstdDecompressor().decompress(packed, max_output_size=1 << 29)


@pytest.fixture(scope="session")
def chatbot() -> Chatbot:
    decoder = msgspec.json.Decoder(Record)
    records = [decoder.decode(line) for line in chatbot_bytes().splitlines()]
    text = gzip.decompress((TRUTH / "support_chatbot_truth.csv.gz").read_bytes()).decode()
    return Chatbot(records, list(csv.DictReader(text.splitlines())))


@pytest.fixture(scope="session")
def agent() -> list[dict[str, Any]]:
    lines = gzip.decompress((LOGS / "agent_anthropic.jsonl.gz").read_bytes()).splitlines()
    return [msgspec.json.decode(line) for line in lines]
