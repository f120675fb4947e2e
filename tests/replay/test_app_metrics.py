"""An application's metrics, as Prometheus reads them from a real port."""

import asyncio
import re
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from anthropic.types import Usage
from openai import OpenAI
from openai.types import CompletionUsage
from openai.types.responses import ResponseUsage
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from costaudit.metrics import (
    CacheMetrics,
    Call,
    OpenTelemetryMeter,
    PrometheusMeter,
    tokens_of,
)
from tests.conftest import ROOT
from tests.replay.model_server import Model, serving

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(text: str) -> Samples:
    """Parse an exposition without the exporter's `otel_` labels."""
    return {
        (
            sample.name,
            frozenset(
                (name, value)
                for name, value in sample.labels.items()
                if not name.startswith("otel_")
            ),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, metric: str, **labels: str) -> float:
    return samples[metric, frozenset(labels.items())]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_the_readme_s_lines_are_scraped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prometheus_client.REGISTRY", CollectorRegistry())
    text = (ROOT / "README.md").read_text("utf-8")
    found = re.search(r"<!-- example:metrics -->\n```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    lines = found.group(1)
    port = free_port()
    assert "metrics.serve(9100)" in lines
    with serving(Model()) as url:
        space: dict[str, Any] = {
            "answers": {"Where is my parcel?": "On its way."},
            "client": OpenAI(base_url=f"{url}/v1", api_key="none"),
        }
        exec(lines.replace("9100", str(port)), space)
        assert space["cached"]("Where is my parcel?") == "On its way."
        assert space["cached"]("Where is my refund?") is None
        assert space["ask"]("Where is my refund?").usage.completion_tokens == 7
        scraped = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    samples = read(scraped)
    assert value(samples, "semantic_cache_requests_total", result="hit") == 1
    assert value(samples, "semantic_cache_requests_total", result="miss") == 1
    assert value(samples, "llm_cost_dollars_total", model="gpt-4o", endpoint="") == pytest.approx(
        70e-6
    )
    # 100 tokens of prompt, 40 of them read from the provider's cache
    counted = {
        name: value(samples, "llm_tokens_total", type=name, model="gpt-4o")
        for name in ("input", "cache_read", "output")
    }
    assert counted == {"input": 60, "cache_read": 40, "output": 7}
    assert value(samples, "llm_request_latency_seconds_count") == 2
    assert value(samples, "semantic_cache_lookup_seconds_count") == 2


@contextmanager
def both() -> Iterator[list[tuple[CacheMetrics, Any]]]:
    """Yield metrics of each kind, with their readers."""
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from opentelemetry.sdk.metrics import MeterProvider
    from prometheus_client import REGISTRY

    own = PrometheusMeter(CollectorRegistry())
    reader = PrometheusMetricReader()
    provider = MeterProvider([reader])
    try:
        yield [
            (CacheMetrics(own), lambda: read(generate_latest(own.registry).decode())),
            (
                CacheMetrics(OpenTelemetryMeter(provider.get_meter("app"))),
                lambda: read(generate_latest(REGISTRY).decode()),
            ),
        ]
    finally:
        provider.shutdown()


def test_opentelemetry_s_exporter_writes_the_same() -> None:
    calls = [
        Call("hit", "gpt-4o", "/chat", latency_s=0.02, lookup_s=0.002, saved_usd=0.25),
        Call("miss", "gpt-4o", "/chat", latency_s=1.5, lookup_s=0.002, cost_usd=0.5,
             tokens={"input": 10, "output": 3}),
        Call("error", lookup_s=4.0),
    ]  # fmt: skip
    with both() as kinds:
        tables = []
        for metrics, scrape in kinds:
            for call in calls:
                metrics.record(call)
            tables.append(scrape())
    for samples in tables:
        assert value(samples, "semantic_cache_requests_total", result="error") == 1
        assert value(samples, "llm_cost_dollars_total", model="gpt-4o", endpoint="/chat") == 0.5
        saved = value(samples, "llm_cost_saved_dollars_total", model="gpt-4o", endpoint="/chat")
        assert saved == 0.25
        assert value(samples, "llm_tokens_total", type="input", model="gpt-4o") == 10
        assert value(samples, "semantic_cache_lookup_seconds_count") == 3
        assert value(samples, "llm_request_latency_seconds_bucket", le="0.025") == 1
        assert value(samples, "llm_request_latency_seconds_bucket", le="2.0") == 2


def test_coroutines_and_failures_are_counted() -> None:
    metrics = CacheMetrics(PrometheusMeter(CollectorRegistry()))

    @metrics.lookup
    async def cached(question: str) -> str | None:
        await asyncio.sleep(0.01)
        if question == "broken":
            raise ConnectionError("no cache")
        return "yes" if question == "known" else None

    @metrics.model("claude", cost_usd=lambda response: 2.0)
    async def ask(question: str) -> Any:
        await asyncio.sleep(0.01)
        usage = SimpleNamespace(input_tokens=5, cache_read_input_tokens=4, output_tokens=1)
        return SimpleNamespace(usage=usage)

    assert asyncio.run(cached("known")) == "yes"
    assert asyncio.run(cached("new")) is None
    with pytest.raises(ConnectionError):
        asyncio.run(cached("broken"))
    asyncio.run(ask("new"))
    assert isinstance(metrics.meter, PrometheusMeter)
    samples = read(generate_latest(metrics.meter.registry).decode())
    counted = {
        result: value(samples, "semantic_cache_requests_total", result=result)
        for result in ("hit", "miss", "error", "bypass")
    }
    assert counted == {"hit": 1, "miss": 1, "error": 1, "bypass": 0}
    assert value(samples, "semantic_cache_lookup_seconds_sum") >= 0.03
    assert value(samples, "llm_cost_dollars_total", model="claude", endpoint="") == 2
    assert value(samples, "llm_tokens_total", type="cache_read", model="claude") == 4


def test_cached_tokens_are_no_input_twice() -> None:
    """In OpenAI's usages 100 input tokens include 40 read and 10 written; in Anthropic's none."""
    shares = {"cached_tokens": 40, "cache_write_tokens": 10}
    usages = [
        ResponseUsage.model_validate(
            {
                "input_tokens": 100,
                "input_tokens_details": shares,
                "output_tokens": 7,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 107,
            }
        ),
        CompletionUsage.model_validate(
            {
                "prompt_tokens": 100,
                "prompt_tokens_details": shares,
                "completion_tokens": 7,
                "total_tokens": 107,
            }
        ),
        Usage(
            input_tokens=50,
            cache_read_input_tokens=40,
            cache_creation_input_tokens=10,
            output_tokens=7,
        ),
    ]
    for usage in usages:
        assert tokens_of(usage) == {"input": 50, "cache_read": 40, "cache_write": 10, "output": 7}


def test_a_cost_without_a_model_is_counted() -> None:
    metrics = CacheMetrics(PrometheusMeter(CollectorRegistry()))
    metrics.record(Call("miss", cost_usd=0.5, tokens={"output": 3}))
    assert isinstance(metrics.meter, PrometheusMeter)
    samples = read(generate_latest(metrics.meter.registry).decode())
    assert value(samples, "llm_cost_dollars_total", model="", endpoint="") == 0.5
    assert value(samples, "llm_tokens_total", type="output", model="") == 3
