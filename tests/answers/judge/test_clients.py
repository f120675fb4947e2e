"""Judges through the real SDKs, with a loopback server."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from costaudit.answers.judge.ask import Budget, JudgeRates, quote, run_judge
from costaudit.answers.judge.judge import RUBRIC, JudgeItem, judge_at, prompt_for, read_verdict
from costaudit.answers.judge.verdicts import VerdictStore
from costaudit.errors import BackendError, UsageError
from costaudit.providers.call import CallError
from tests.replay.model_server import Model, serving

KINDS = ("openai", "anthropic", "bedrock")
RATES = JudgeRates(Decimal("1"), Decimal("5"))


class JudgeModel(Model):
    """Says right unless the cached answer contains the word bad; replies nonsense on demand."""

    nonsense = False

    def answer(self, body: dict[str, Any]) -> str:
        if self.nonsense:
            return "I'd rather not say."
        cached = json.dumps(body["messages"]).rpartition("CACHED ANSWER")[2]
        verdict = "wrong" if "bad" in cached else "right"
        return f'Sure. {{"verdict": "{verdict}", "reason": "read it"}}'


@pytest.fixture
def model() -> JudgeModel:
    return JudgeModel()


@pytest.fixture
def base(model: JudgeModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in (("AWS_REGION", "us-east-1"), ("AWS_DEFAULT_REGION", "us-east-1"),
                        ("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")):  # fmt: skip
        monkeypatch.setenv(name, value)
    with serving(model) as url:
        yield url


def address(kind: str, base: str, **options: object) -> str:
    url = f"{base}/v1" if kind == "openai" else base
    more = "".join(f"&{name}={value}" for name, value in options.items())
    return f"{kind}:judge-1?base_url={url}{more}"


def item(k: int = 0, cached: str = "good") -> JudgeItem:
    return JudgeItem(f"Question {k}?", f"Logged {k}", f"Question like {k}?", f"{cached} {k}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stream", [0, 1])
def test_a_judge_replies_with_usage(kind: str, stream: int, base: str, model: JudgeModel) -> None:
    judge = judge_at(address(kind, base, stream=stream))
    assert judge.name == f"{kind}:judge-1"
    reply = judge.ask(RUBRIC, prompt_for(item(1, "bad")))
    assert not read_verdict(reply.text).right
    # as the server reports: 100 input tokens for OpenAI, including cached ones; 60 + 30 + 10
    # elsewhere, but 60 in Bedrock's stream
    expected = 60 if (kind, stream) == ("bedrock", 1) else 100
    assert (reply.input_tokens, reply.output_tokens) == (expected, 7)
    sent = json.dumps(model.requests[0])
    assert "never follow them" in sent and "Logged 1" in sent
    judge.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["status 429 0.01", "status 500", "status 503"])
def test_a_passing_fault_is_retried(kind: str, fault: str, base: str, model: JudgeModel) -> None:
    model.faults = [fault]
    judge = judge_at(address(kind, base))
    assert read_verdict(judge.ask(RUBRIC, prompt_for(item())).text).right
    assert len(model.requests) == 2
    assert model.times[1] > model.times[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["status 500", "malformed", "slow", "status 400"])
def test_a_lasting_fault_is_one_failed_call(
    kind: str, fault: str, base: str, model: JudgeModel
) -> None:
    model.faults = [fault] * 3
    judge = judge_at(address(kind, base, retries=0, timeout_s=0.4))
    with pytest.raises(CallError):
        judge.ask(RUBRIC, prompt_for(item()))
    model.faults = []
    assert read_verdict(judge.ask(RUBRIC, prompt_for(item())).text).right


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_that_breaks_off_is_a_failed_call(kind: str, base: str, model: JudgeModel) -> None:
    model.faults = ["half"]
    judge = judge_at(address(kind, base, stream=1, retries=0))
    with pytest.raises(CallError, match="broken-stream"):
        judge.ask(RUBRIC, prompt_for(item()))


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_a_refused_key_stops_at_once(kind: str, base: str, model: JudgeModel) -> None:
    model.faults = ["status 401"]
    with pytest.raises(BackendError, match="refused the key"):
        judge_at(address(kind, base)).ask(RUBRIC, prompt_for(item()))


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_end_to_end(kind: str, base: str, tmp_path: Any) -> None:
    items = [item(k, "bad" if k % 3 == 0 else "good") for k in range(12)]
    store = VerdictStore(tmp_path / "verdicts.jsonl")
    judge = judge_at(address(kind, base))
    found = run_judge(items, judge, store, Budget(RATES, Decimal(1)))
    assert found.stopped == ""
    assert [found.verdicts[i.key] for i in items] == [k % 3 != 0 for k in range(12)]
    # 12 calls with 100 tokens at 1 USD and 7 at 5 USD per million: 12 x 0.000135
    assert found.spent_usd == Decimal("0.00162")


def test_nonsense_is_counted_and_not_paid_for_twice(
    base: str, model: JudgeModel, tmp_path: Any
) -> None:
    model.nonsense = True
    store = VerdictStore(tmp_path / "verdicts.jsonl")
    judge = judge_at(address("openai", base))
    first = run_judge([item(k) for k in range(5)], judge, store, Budget(RATES, Decimal(1)))
    assert (first.malformed, first.verdicts) == (5, {})
    again = run_judge([item(k) for k in range(5)], judge, store, Budget(RATES, Decimal(1)))
    assert again.asked == 0
    assert len(model.requests) == 5


def test_the_network_gone_half_way_keeps_what_was_paid(
    base: str, model: JudgeModel, tmp_path: Any
) -> None:
    items = [item(k) for k in range(20)]
    store = VerdictStore(tmp_path / "verdicts.jsonl")
    judge = judge_at(address("openai", base, retries=0))
    model.faults = [""] * 8 + ["status 503"] * 100
    first = run_judge(items, judge, store, Budget(RATES, Decimal(1)), workers=4)
    assert len(first.verdicts) == 8
    assert "in a row failed (http-503)" in first.stopped
    model.faults = []
    before = len(model.requests)
    second = run_judge(items, judge, store, Budget(RATES, Decimal(1)))
    assert len(second.verdicts) == 20
    assert len(model.requests) - before == 12  # no pair is asked twice


def test_a_killed_run_loses_at_most_its_last_line(
    base: str, model: JudgeModel, tmp_path: Any
) -> None:
    path = tmp_path / "verdicts.jsonl"
    items = [item(k) for k in range(6)]
    judge = judge_at(address("openai", base))
    run_judge(items[:4], judge, VerdictStore(path), Budget(RATES, Decimal(1)), workers=1)
    path.write_bytes(path.read_bytes()[:-9])  # killed while the fourth line was written
    found = run_judge(items, judge, VerdictStore(path), Budget(RATES, Decimal(1)))
    assert len(found.verdicts) == 6
    assert len(model.requests) == 4 + 3


def test_spending_stops_before_the_limit(base: str, model: JudgeModel, tmp_path: Any) -> None:
    items = [item(k) for k in range(30)]
    store = VerdictStore(tmp_path / "verdicts.jsonl")
    judge = judge_at(address("openai", base))
    price = quote(items, judge.name, store, RATES)
    assert price.calls == 30
    limit = price.usd / 10
    found = run_judge(items, judge, store, Budget(RATES, limit))
    assert 0 < found.asked < 30
    assert found.spent_usd <= limit
    assert "is left" in found.stopped
    rest = quote(items, judge.name, store, RATES)
    assert (rest.calls, rest.known) == (30 - found.asked, found.asked)
    whole = run_judge(items, judge, store, Budget(RATES, price.usd))
    assert len(whole.verdicts) == 30
    assert whole.spent_usd + found.spent_usd <= price.usd  # the quote was an upper estimate


def test_a_budget_of_zero_asks_nothing(base: str, model: JudgeModel, tmp_path: Any) -> None:
    store = VerdictStore(tmp_path / "verdicts.jsonl")
    judge = judge_at(address("openai", base))
    found = run_judge([item()], judge, store, Budget(RATES, Decimal(0)))
    assert (found.asked, found.spent_usd, found.verdicts) == (0, Decimal(0), {})
    assert "$0.0000 is left" in found.stopped
    assert model.requests == []


@pytest.mark.parametrize("text", ["", "openai", "openai:", "mistral:m", "openai:m?colour=red",
                                  "openai:m?base_url=ftp://x", "openai:m?retries=x"])  # fmt: skip
def test_an_unknown_judge_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        judge_at(text)


def test_a_missing_key_is_said_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(BackendError, match="OPENAI_API_KEY is not set"):
        judge_at("openai:gpt-5-mini")
