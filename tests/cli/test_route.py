"""`costaudit route` with loopback servers: planted topics, a kill, and all kinds of failure."""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from costaudit.answers.judge.judge import RUBRIC
from costaudit.contracts.audit import write_audit
from tests.cli.conftest import write_log
from tests.conftest import Said
from tests.replay.model_server import Model, serving
from tests.report.sample_audit import AUDIT

Run = Callable[..., Said]
EASY = [
    "parcel", "courier", "address", "depot", "driver", "invoice", "card", "receipt", "voucher",
    "refund",
]  # fmt: skip
HARD = ["warranty", "clause", "liability", "statute", "contract", "damages"]
CALLS, HARD_SHARE = 600, 1 / 3


def questions() -> list[tuple[str, bool]]:
    draw = random.Random(4)
    return [
        (f"Case {n}: the {' and the '.join(draw.sample(EASY if easy else HARD, 3))}, please?", easy)
        for n in range(CALLS)
        for easy in [draw.random() > HARD_SHARE]
    ]


def made_log(path: Path) -> Path:
    """Write chats whose answers name their case; the hard ones are about law."""
    lines = []
    for n, (text, _) in enumerate(questions()):
        sent = {"role": "user", "content": text}
        answer = {"role": "assistant", "content": f"The answer to case {n} is {n * 37 % 1000}."}
        lines.append({
            "timestamp": f"2026-10-{5 + n // 60:02d}T09:{n % 60:02d}:00.000Z", "endpoint": "/chat",
            "request": {"model": "gpt-4o", "messages": [sent]},
            "response": {
                "id": f"c{n}", "object": "chat.completion", "model": "gpt-4o-2024-08-06",
                "choices": [{"index": 0, "finish_reason": "stop", "message": answer}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107},
            },
        })  # fmt: skip
    return write_log(path, lines)


@dataclass
class Both(Model):
    """A candidate that fails on law, and a judge that compares the numbers of two answers."""

    tried: list[str] = field(default_factory=list)
    judged: int = 0
    efforts: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def answer(self, body: dict[str, Any]) -> str:
        told = json.dumps(body)
        if json.dumps(RUBRIC)[1:-1][:60] in told:
            with self.lock:
                self.judged += 1
            asked = next(t for t in _texts(body) if "LOGGED ANSWER>>" in t)
            _, logged, cached = (part.split(">>\n")[1] for part in asked.split("\n\n"))
            same = logged.split("\n")[0].split()[-1] == cached.split("\n")[0].split()[-1]
            return json.dumps({"verdict": "right" if same else "wrong", "reason": "numbers"})
        (text,) = [t for t in _texts(body) if t.startswith("Case")]
        with self.lock:
            self.efforts.append(body.get("reasoning_effort", ""))
            self.told.append(body["messages"][0]["content"])
            self.tried.append(text)
        n = int(text.split()[1][:-1])
        right = not any(word in text for word in HARD)
        return f"For case {n} it is {n * 37 % 1000 if right else 'unclear'}."


def _texts(body: dict[str, Any]) -> list[str]:
    found = []
    for message in body["messages"]:
        content = message["content"]
        found += [content] if isinstance(content, str) else [part["text"] for part in content]
    return found


@pytest.fixture
def model() -> Both:
    return Both()


@pytest.fixture
def base(model: Both, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    with serving(model) as url:
        yield url


NAMES = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-haiku-4-5",
    "bedrock": "amazon.nova-micro-v1:0",
}


def address(kind: str, base: str, **more: object) -> str:
    path = {"openai": f"{base}/v1"}.get(kind, base)
    options = {"base_url": path, "retries": 0, **more}
    return f"{kind}:{NAMES[kind]}?" + "&".join(f"{k}={v}" for k, v in options.items())


def command(base: str, kind: str = "openai", *more: str, **options: object) -> list[str]:
    named = address(kind, base, **options)
    return ["route", "run", "--candidate", named, "--judge", address("openai", base),
            "--sample", "240", "--max-spend", "5", "--format", "json", *more]  # fmt: skip


@pytest.fixture
def run(costaudit: Run, tmp_path: Path) -> Path:
    made_log(tmp_path / "log.jsonl")
    assert costaudit("ingest", "log.jsonl", "--out", "run", "--quiet").code == 0
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("kind", "stream"),
    [
        pytest.param("openai", 0, marks=pytest.mark.slow),
        ("openai", 1),
        pytest.param("anthropic", 1, marks=pytest.mark.slow),
        pytest.param("bedrock", 0, marks=pytest.mark.slow),
    ],
)
def test_planted_topics_are_told_apart_and_routed(
    kind: str, stream: int, costaudit: Run, run: Path, base: str, model: Both
) -> None:
    said = costaudit(*command(base, kind, stream=stream))
    assert said.code == 0, said.err
    assert "240 calls, about $" in said.err and "at most $" in said.err  # before the first call
    (one,) = json.loads(said.out)
    easy = sum(easy for _, easy in questions()) / CALLS
    share = one["right_share"]
    assert share["low"] <= easy <= share["high"] and share["high"] - share["low"] < 0.12
    for topic in one["topics"]:
        hard = topic["topic"].split()[0] in HARD
        assert (topic["agreement"]["value"] > 0.9) is not hard, topic
    router = one["router"]
    scope: dict[str, Any] = {}
    exec(router["code"], scope)
    sent = [scope["use_smaller_model"](text) for text, _ in questions()]
    wrong = sum(s and not e for s, (_, e) in zip(sent, questions(), strict=True)) / CALLS
    assert router["loss"]["low"] <= wrong <= router["loss"]["high"] <= 0.06
    assert sum(sent) / CALLS > 0.9 * easy and router["agrees"] > 0.95
    low, usd = Decimal(one["saved"]["low_usd"]), Decimal(one["saved"]["usd"])
    assert 0 < low <= usd < Decimal(one["spend"]["usd"])
    assert Counter(model.tried).most_common(1)[0][1] == 1


def test_the_saving_is_what_the_routed_calls_cost_less(
    costaudit: Run, run: Path, base: str
) -> None:
    (one,) = json.loads(costaudit(*command(base)).out)
    # 100 tokens at 2.50 and 7 at 10 per million, against 0.15 and 0.60, for 365.25 / 12 days, of
    # which the log covers ten.
    large, small = Decimal("0.00032"), Decimal("0.0000192")
    calls = round(one["router"]["sent_share"] * CALLS)
    months = Decimal("30.4375") / 10
    most = calls * (large - small) * months
    again = Decimal(one["router"]["loss"]["value"]) * CALLS * large * months
    assert abs(Decimal(one["saved"]["usd"]) / (most - again) - 1) < Decimal("0.02")


def test_a_killed_run_goes_on_and_pays_nothing_twice(
    costaudit: Run, run: Path, base: str, model: Both
) -> None:
    model.delay_s = 0.03
    given = [sys.executable, "-m", "costaudit", *command(base), "--quiet"]
    stopped = subprocess.Popen(given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    kept = run / "route.jsonl"
    while not kept.exists() or kept.read_bytes().count(b"\n") < 60:
        assert stopped.poll() is None, stopped.communicate()
        time.sleep(0.01)
    stopped.send_signal(signal.SIGKILL)
    stopped.communicate()
    with kept.open("ab") as file:
        file.write(b'{"key":"torn')
    time.sleep(0.2)
    before = len(model.tried)
    stored = kept.read_bytes().count(b"\n")
    model.delay_s = 0.0
    said = costaudit(*command(base))
    assert said.code == 0, said.err
    again = sum(many - 1 for many in Counter(model.tried).values())
    assert again <= before - stored <= 4  # only calls in flight, no stored ones
    assert len(set(model.tried)) == 240
    judged, tried = model.judged, len(model.tried)
    third = costaudit(*command(base))
    assert "0 calls, about" in third.err and (model.judged, len(model.tried)) == (judged, tried)
    first, last = json.loads(said.out), json.loads(third.out)
    for one in (*first, *last):
        one.pop("spent_usd"), one.pop("note")
    assert first == last
    kept.unlink()
    (run / "verdicts.jsonl").unlink()
    (whole,) = json.loads(costaudit(*command(base)).out)
    assert {k: v for k, v in whole.items() if k not in ("spent_usd", "note")} == last[0]


def test_the_same_model_asked_otherwise_keeps_its_cache(
    costaudit: Run, run: Path, base: str, model: Both
) -> None:
    one = f"openai:gpt-4o-2024-08-06?base_url={base}/v1&retries=0&effort=low&say=Be brief."
    said = costaudit("route", "run", "--candidate", one, "--judge", address("openai", base),
                     "--sample", "60", "--max-spend", "5", "--format", "json")  # fmt: skip
    assert said.code == 0, said.err
    (found,) = json.loads(said.out)
    assert found["candidate"] == "openai:gpt-4o-2024-08-06 (effort=low, say=Be brief.)"
    assert found["caches"] is None and found["calls"] == CALLS
    assert set(model.efforts) == {"low"} and set(model.told) == {"Be brief."}
    # The server bills 100 tokens in and 7 out, as the log does: nothing is saved.
    assert Decimal(found["saved"]["usd"]) <= Decimal(found["spend"]["usd"]) / 2


def test_an_effort_is_refused_where_the_interface_has_none(costaudit: Run, run: Path) -> None:
    said = costaudit("route", "run", "--candidate", "anthropic:claude-haiku-4-5?effort=low",
                     "--judge", "human:form.csv")  # fmt: skip
    assert said.code == 2 and "effort" in said.err
    kept = costaudit("route", "run", "--candidate", "openai:gpt-4o?compress=x&keep=1.5&"
                     "base_url=http://127.0.0.1:1/v1", "--judge", "human:form.csv")  # fmt: skip
    assert kept.code == 2 and "keep" in kept.err


def test_without_money_nothing_is_asked(costaudit: Run, run: Path, base: str, model: Both) -> None:
    said = costaudit(*command(base), "--max-spend", "0")
    assert said.code == 4 and "verdicts are too few" in said.err
    assert not model.requests


def test_spending_stops_before_the_limit(costaudit: Run, run: Path, base: str, model: Both) -> None:
    said = costaudit(*command(base), "--max-spend", "0.002")
    assert said.code == 4
    spent = len(model.tried) * (60 * 0.15 + 40 * 0.075 + 7 * 0.6) / 1e6
    assert 0 < spent <= 0.002 and len(model.tried) < 240


@pytest.mark.parametrize(
    ("faults", "code", "told"),
    [
        (["status 500"] * 12, 4, "verdicts are too few"),
        (["malformed"] * 2, 0, "2 calls failed"),
        (["status 401"], 5, "refused the key"),
    ],
)
def test_failed_calls_are_counted_and_a_lasting_fault_stops(
    faults: list[str], code: int, told: str, costaudit: Run, run: Path, base: str, model: Both
) -> None:
    model.faults = list(faults)
    said = costaudit(*command(base))
    assert said.code == code
    assert told in said.err + said.out


def test_recorded_answers_and_people_need_no_network(
    costaudit: Run, run: Path, tmp_path: Path, model: Both
) -> None:
    import polars as pl

    ids = pl.read_parquet(run / "requests.parquet").sort("ts")["request_id"].to_list()
    with (tmp_path / "answers.jsonl").open("w") as file:
        for n, request_id in enumerate(ids):
            easy = questions()[n][1]
            text = f"It is {n * 37 % 1000 if easy else 'unclear'}."
            row = {"request_id": request_id, "answer": text, "input_tokens": 100,
                   "output_tokens": 7}  # fmt: skip
            file.write(json.dumps(row) + "\n")
    given = ["route", "run", "--candidate", "recorded:answers.jsonl?model=gpt-4o-mini",
             "--judge", "human:form.jsonl", "--sample", "150"]  # fmt: skip
    assert "Wrote form.jsonl" in costaudit(*given).out
    form = [json.loads(line) for line in (tmp_path / "form.jsonl").read_text().splitlines()]
    for row in form:
        row["verdict"] = "wrong" if "unclear" in row["cached_answer"] else "right"
    (tmp_path / "form.jsonl").write_text("".join(json.dumps(row) + "\n" for row in form))
    said = costaudit(*given)
    assert said.code == 0, said.err
    assert "def use_smaller_model" in said.out and "Saved a month" in said.out


def test_the_report_of_an_analyzed_run_gets_a_section(costaudit: Run, run: Path, base: str) -> None:
    write_audit(AUDIT, run / "audit.json")
    (one,) = json.loads(costaudit(*command(base)).out)
    (shown,) = json.loads((run / "audit.json").read_text("utf-8"))["routes"]
    assert shown == one
    assert '<section id="route">' in (run / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("candidate", "told"),
    [
        ("gpt-4o-mini", "names no model to try"),
        ("openai:", "names no model to try"),
        ("openai:never-heard-of-it?base_url=http://127.0.0.1:1/v1", "is unknown"),
        ("recorded:nowhere.jsonl?model=gpt-4o-mini", "There is no file"),
        ("openai:gpt-4o-mini?base_url=ftp://x", "no web address"),
        ("recorded:bad.jsonl?model=gpt-4o-mini", "line 1"),
        ("recorded:bad.jsonl", "does not name the model"),
        ("openai:gpt-4o-2024-08-06?base_url=http://127.0.0.1:1/v1", "can be tried on"),
    ],
)
def test_a_candidate_that_cannot_be_tried_is_refused_with_the_next_step(
    candidate: str, told: str, costaudit: Run, run: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.jsonl").write_text('{"request_id": 5}\n')
    said = costaudit("route", "run", "--candidate", candidate, "--judge", "human:form.csv")
    assert said.code in (2, 4) and told in said.err and said.err.count("\n") >= 2


def test_a_log_without_texts_or_of_failures_says_why(costaudit: Run, tmp_path: Path) -> None:
    log = made_log(tmp_path / "log.jsonl")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    write_log(tmp_path / "failed.jsonl", [{**line, "status": 500} for line in lines])
    costaudit("ingest", "log.jsonl", "--out", "hashed", "--redact", "hash", "--quiet")
    for name in ("failed.jsonl", "hashed"):
        said = costaudit("route", name, "--candidate", "recorded:log.jsonl?model=gpt-4o-mini",
                         "--judge", "human:form.csv", "--quiet")  # fmt: skip
        assert said.code == 4 and "can be tried on" in said.err
