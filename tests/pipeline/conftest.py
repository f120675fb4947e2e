"""Six logs that lack different things, and the audit of each."""

import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import msgspec
import pytest
import s3fs  # type: ignore[import-untyped]

from costaudit.contracts.audit import Audit
from costaudit.contracts.run_dir import RunDir
from costaudit.pipeline.analyze import analyze
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.report.reporters import render
from tests.pipeline.s3 import Proxy, s3_server

TICK = re.compile(r'(<line class="grid"[^>]*/>)<text class="right"[^>]*>[^<]*</text>')
START = datetime(2026, 10, 5, tzinfo=UTC)  # a Monday


def call(at: datetime, question: str, **more: Any) -> dict[str, Any]:
    model = more.get("model", "gpt-4o")
    return {
        "request_id": f"r{at.timestamp()}", "timestamp": at.isoformat(),
        "endpoint": more.get("endpoint", "/chat"), "tenant": "t", "user": more.get("user", "u"),
        "latency_ms": 900, "status": more.get("status", 200),
        "request": {"model": model, "messages": [
            {"role": "system", "content": more.get("system", "Answer.")},
            {"role": "user", "content": question}], "temperature": 0},
        "response": {"id": f"x{at.timestamp()}", "object": "chat.completion", "model": model,
            "choices": [{"index": 0, "finish_reason": "stop",
                         "message": {"role": "assistant", "content": f"Answer: {question}"}}],
            "usage": {"prompt_tokens": more.get("tokens", 2_000), "completion_tokens": 300,
                      "total_tokens": more.get("tokens", 2_000) + 300}}
        if more.get("status", 200) == 200 else {"error": {"message": "boom"}},
    }  # fmt: skip


def times(days: list[int], each: int = 12) -> list[datetime]:
    return [START + timedelta(days=d, hours=9, minutes=40 * i) for d in days for i in range(each)]


WORKDAYS = [0, 1, 2, 3, 4, 7, 8, 9, 10, 11]
LONG = "You are the assistant of a shop. Be brief and kind. " * 120
LOGS = {
    "repeats": [call(at, f"Question {i % 7}?") for i, at in enumerate(times(WORKDAYS))],
    "a gap": [call(at, f"Question {i % 7}?") for i, at in enumerate(times([0, 1, 25]))],
    "one day": [call(at, f"Question {i % 3}?") for i, at in enumerate(times([0]))],
    "moving prompts": [
        call(at, f"Question {i}?", system=f"It is {at:%H:%M:%S}. {LONG}")
        for i, at in enumerate(times(WORKDAYS))
    ],
    "unpriced": [
        call(at, f"Question {i % 5}?", model="gpt-nobody-knows" if i % 2 else "gpt-4o")
        for i, at in enumerate(times(WORKDAYS))
    ],
    "failures": [call(at, f"Question {i}?", status=500) for i, at in enumerate(times(WORKDAYS))],
}


@pytest.fixture(scope="session", params=list(LOGS))
def audit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    folder: Path = tmp_path_factory.mktemp("log")
    lines = [msgspec.json.encode(one) for one in LOGS[request.param]]
    (folder / "log.jsonl").write_bytes(b"\n".join(lines))
    options = AnalyzeOptions(thresholds="0.90:0.96:0.03")
    return analyze([str(folder / "log.jsonl")], RunDir(folder / "run"), options)


def page(audit: Audit, form: str) -> str:
    """Return what a reader sees, without the data and code of a page and the ticks of its axes."""
    text = render(audit, form).decode()
    if form == "html":
        body = text.partition("<body")[2]
        body = re.sub(r"<(script|style)\b.*?</\1>", " ", body, flags=re.DOTALL)
        text = html.unescape(re.sub(r"<[^>]*>", " ", TICK.sub(r"\1", body)))
    return re.sub(r"\s+", " ", text)


@pytest.fixture(scope="module")
def server() -> Iterator[Proxy]:
    with s3_server() as proxy:
        yield proxy


@pytest.fixture
def s3(server: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proxy:
    """The server with an empty bucket, and an environment in which commands find it."""
    for name, value in {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()  # one of another test may have found no credentials
    server.answer = lambda method, path: None
    client = boto3.client("s3")
    client.create_bucket(Bucket="bucket")
    for one in client.list_objects_v2(Bucket="bucket").get("Contents", ()):
        client.delete_object(Bucket="bucket", Key=one["Key"])
    server.seen.clear()
    server.failed = 0
    return server
