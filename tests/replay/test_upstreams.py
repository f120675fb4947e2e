"""Live upstreams through the real SDKs, with a loopback server."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from costaudit.errors import BackendError, UsageError
from costaudit.providers.call import CallError, Message, Prompt
from costaudit.replay.backends import upstream_at
from costaudit.replay.caches.memory import MemoryCache
from costaudit.replay.upstream import dry_run, worst_usd
from tests.replay.conftest import Log, make_log
from tests.replay.model_server import Model, serving
from tests.replay.prompts import PRICES, RATE, asking


def address(kind: str, url: str, query: str = "") -> str:
    more = f"&{query}" if query else ""
    return {
        "openai": f"{url}/v1?retries=2{more}",
        "anthropic": f"anthropic:claude-x?base_url={url}&retries=2{more}",
        "bedrock": f"bedrock:amazon.x?base_url={url}&retries=2{more}",
    }[kind]


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


KINDS = ["openai", "anthropic", "bedrock"]
TOKENS = {
    # 100 prompt tokens, 40 of them cached; the other providers' classes are already disjoint
    "openai": (60, 40, 0, 0, 0, 7),
    "anthropic": (60, 30, 8, 2, 0, 7),
    "bedrock": (60, 30, 10, 0, 0, 7),
}


@pytest.mark.parametrize("stream", ["0", "1"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_live_answer_has_its_text_tokens_and_latency(kind: str, stream: str) -> None:
    log = asking(make_log(3, bypass_share=0))
    model = Model(delay_s=0.05)
    with serving(model) as url:
        upstream = upstream_at(address(kind, url, f"stream={stream}"))
        answer = upstream.answer(log.stream, 0)
        upstream.close()
    assert answer.text.startswith("re: ")
    expected = (60, 0, 0, 0, 0, 7) if (kind, stream) == ("bedrock", "1") else TOKENS[kind]
    assert answer.tokens == expected
    assert 50 <= answer.latency_ms < 5000
    assert (answer.ttft_ms is not None) == (stream == "1")
    sent = model.requests[0]
    limit = sent.get("max_tokens") or sent.get("inferenceConfig", {}).get("maxTokens")
    assert limit == 50
    assert log.texts[log.stream.rows[0]] in str(sent["messages"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_passing_failure_is_tried_again(kind: str) -> None:
    log = asking(make_log(3, bypass_share=0))
    model = Model(faults=["status 500", "status 503"])
    with serving(model) as url:
        assert upstream_at(address(kind, url)).answer(log.stream, 0).text
    assert len(model.requests) == 3


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_retry_after_is_obeyed(kind: str) -> None:
    log = asking(make_log(3, bypass_share=0))
    model = Model(faults=["status 429 1"])
    with serving(model) as url:
        assert upstream_at(address(kind, url)).answer(log.stream, 0).text
    assert model.times[1] - model.times[0] >= 1.0


@pytest.mark.parametrize(
    ("fault", "query", "reason"),
    [
        ("status 500", "", "http-500"),
        ("status 400", "", "http-400"),
        ("malformed", "", "malformed"),
        ("empty", "", "malformed"),
        ("half", "stream=1", "broken-stream"),
        ("slow", "timeout_s=0.3", "timeout"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_lasting_failure_is_named(kind: str, fault: str, query: str, reason: str) -> None:
    log = asking(make_log(3, bypass_share=0))
    with serving(Model(faults=[fault] * 9)) as url:
        target = address(kind, url, query).replace("retries=2", "retries=0")
        with pytest.raises(CallError) as failed:
            upstream_at(target).answer(log.stream, 0)
    assert failed.value.reason == reason


@pytest.mark.parametrize("kind", KINDS)
def test_no_server_is_a_failed_connection(kind: str) -> None:
    log = asking(make_log(3, bypass_share=0))
    target = address(kind, "http://127.0.0.1:9").replace("retries=2", "retries=0")
    with pytest.raises(CallError, match="connection"):
        upstream_at(target).answer(log.stream, 0)


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_a_refused_key_stops_the_run_at_once(kind: str) -> None:
    log = asking(make_log(50, bypass_share=0))
    model = Model(faults=["status 401"] * 99)
    with serving(model) as url, pytest.raises(BackendError, match="refused the key") as failed:
        log.replay(
            MemoryCache(), upstream_at(address(kind, url)), rate=RATE, max_spend_usd=Decimal(9),
            concurrency=2,
        )  # fmt: skip
    assert failed.value.exit_code == 5
    assert len(model.requests) < 20


def test_a_missing_key_is_said_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(BackendError, match="OPENAI_API_KEY is not set"):
        upstream_at("openai:gpt-4o-mini")


def test_a_live_replay_fills_the_cache_with_new_answers_and_counts_the_money() -> None:
    log = asking(make_log(150, texts=30))
    model = Model()
    with serving(model) as url:
        result = log.replay(
            MemoryCache(), upstream_at(address("openai", url)), rate=RATE,
            max_spend_usd=Decimal("1"),
        )  # fmt: skip
    recorded = log.replay(MemoryCache())
    assert result.outcomes["result"].equals(recorded.outcomes["result"])  # the log's clock decides
    misses = result.outcomes.filter(result="miss").height
    assert len(model.requests) == misses
    # Each call has 60 uncached tokens at $1, 40 cached at $0.10 and 7 of output at $4, per million.
    assert result.spent_usd == misses * (60 * PRICES[0] + 40 * PRICES[1] + 7 * PRICES[5]) / 10**6
    assert result.outcomes.filter(result="miss")["cache_read_tokens"].unique().to_list() == [40]


def test_calls_in_flight_obey_the_limit() -> None:
    log = asking(make_log(40, texts=40, bypass_share=0))
    log.stream.ready_s[:] = log.stream.ts_s[-1] + 9  # no request waits for an answer
    model = Model(delay_s=0.03)
    with serving(model) as url:
        log.replay(
            MemoryCache(), upstream_at(address("openai", url)), rate=RATE,
            max_spend_usd=Decimal("1"), concurrency=3, min_similarity=1.5,
        )  # fmt: skip
    assert model.most_running == 3


@pytest.mark.parametrize("speed", [None, 50.0])
def test_failed_calls_are_rows_and_the_run_goes_on(speed: float | None) -> None:
    log = asking(make_log(60, texts=40, bypass_share=0))
    model = Model(faults=["status 400"] * 5)
    with serving(model) as url:
        result = log.replay(
            MemoryCache(), upstream_at(address("openai", url)), rate=RATE,
            max_spend_usd=Decimal("1"), speed=speed, concurrency=1,
        )  # fmt: skip
    assert result.errors == {"upstream: http-400": 5}
    assert result.outcomes.filter(result="error").height == 5


def test_too_many_failures_in_a_row_stop_the_run() -> None:
    log = asking(make_log(200, texts=100, bypass_share=0))
    model = Model(faults=["status 400"] * 200)
    expected = pytest.raises(BackendError, match="10 requests in a row failed")
    with serving(model) as url, expected as failed:
        log.replay(
            MemoryCache(), upstream_at(address("openai", url)), rate=RATE,
            max_spend_usd=Decimal("1"), max_failures=10, concurrency=1,
        )  # fmt: skip
    assert "upstream: http-400" in failed.value.message


@pytest.mark.parametrize("speed", [None, 20.0])
def test_the_budget_is_never_exceeded_and_a_larger_one_goes_on(
    tmp_path: Path, speed: float | None
) -> None:
    log = asking(make_log(150, texts=60, bypass_share=0))
    path = tmp_path / "journal"
    assert log.stream.prompts is not None
    worst = worst_usd(RATE, log.stream.prompts[0])
    limit = worst * 8
    model = Model()
    with serving(model) as url:
        upstream = upstream_at(address("openai", url))
        options: dict[str, Any] = {"rate": RATE, "resume_path": path, "speed": speed}
        with pytest.raises(BackendError, match="could exceed the limit") as stopped:
            log.replay(MemoryCache(), upstream, max_spend_usd=limit, **options)
        assert stopped.value.exit_code == 5
        assert "--max-spend" in stopped.value.hint and str(path) in stopped.value.hint
        paid = len(model.requests)
        each = RATE.cost_usd((60, 40, 0, 0, 0, 7))
        assert 0 < paid * each <= limit
        result = log.replay(MemoryCache(), upstream, max_spend_usd=Decimal(1), **options)
    assert result.resumed >= paid
    assert result.spent_usd == each * len(model.requests)  # nothing was paid twice
    assert len(model.requests) == result.outcomes.filter(result="miss").height


def test_a_live_model_needs_a_limit() -> None:
    log = asking(make_log(3))
    with serving(Model()) as url, pytest.raises(UsageError, match="no limit"):
        log.replay(MemoryCache(), upstream_at(address("openai", url)), rate=RATE)
    with serving(Model()) as url, pytest.raises(UsageError, match="price is unknown"):
        log.replay(MemoryCache(), upstream_at(address("openai", url)), max_spend_usd=Decimal(1))


def test_the_dry_run_prices_the_log_s_own_tokens() -> None:
    log = make_log(2, bypass_share=0)
    log.stream.tokens[:] = [[1000, 500, 0, 0, 0, 100], [2000, 0, 0, 0, 0, 300]]
    # 3,000 x $1 + 500 x $0.10 + 400 x $4 = 3,000 + 50 + 1,600 = 4,650 per million
    priced = dry_run(log.stream, RATE, miss_share=0.5)
    assert (priced.calls, priced.input_tokens, priced.output_tokens) == (2, 3500, 400)
    assert priced.most_usd == Decimal("0.00465")
    assert priced.expected_usd == Decimal("0.002325")


def test_the_worst_price_of_a_call_bounds_it_by_bytes() -> None:
    # (5 + 16) bytes and overhead x the most expensive input, $2, + 50 x $4 = 42 + 200 per million
    prompt = Prompt("m", (Message("user", "héll"),), max_tokens=50)
    assert worst_usd(RATE, prompt) == Decimal("0.000242")


def test_unknown_upstreams_and_options_are_refused() -> None:
    for text in ("gemini:x", "openai:x?strem=1", "https://h/v1?stream=yes"):
        with pytest.raises(UsageError):
            upstream_at(text)


def test_prompts_of_a_log_without_them_are_missed() -> None:
    log = make_log(5, bypass_share=0)
    with serving(Model()) as url, pytest.raises(UsageError, match="holds no prompts"):
        log.replay(
            MemoryCache(), upstream_at(address("openai", url)), rate=RATE,
            max_spend_usd=Decimal(1),
        )  # fmt: skip


def test_bypassed_requests_are_not_sent(log: Log) -> None:
    log = asking(log)
    log.stream.rows[:] = -1
    model = Model()
    with serving(model) as url:
        result = log.replay(
            MemoryCache(), upstream_at(address("openai", url)), rate=RATE,
            max_spend_usd=Decimal(1),
        )  # fmt: skip
    assert model.requests == []
    kept = result.outcomes["output_tokens"].to_numpy()
    assert np.array_equal(kept, log.stream.tokens[:, 5])
