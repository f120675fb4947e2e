"""`costaudit judge`, killed in the middle, continues there, and never pays for a pair twice."""

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.ingest.conftest import chat, write_lines
from tests.replay.model_server import Model, serving

PAIRS, AT_ONCE = 40, 4
SUBJECTS = ("parcel", "invoice", "refund", "voucher", "address", "account", "password", "delivery")
VERBS = ("find", "change", "cancel", "track", "print", "delete", "share")


class Slow(Model):
    """Takes its time over each verdict."""

    def answer(self, body: dict[str, Any]) -> str:
        time.sleep(0.1)
        return '{"verdict": "right", "reason": "read it"}'


def judge(run: Path, url: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "costaudit", "judge", str(run),
         "--judge", f"openai:gpt-4o-mini?base_url={url}/v1", "--threshold", "0.8",
         "--sample", str(PAIRS), "--max-spend", "1", "--format", "json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OPENAI_API_KEY": "test"},
    )  # fmt: skip


def test_a_killed_judge_goes_on(tmp_path: Path) -> None:
    questions = [f"How do I {verb} my {subject}?" for verb in VERBS for subject in SUBJECTS]
    texts = [f"{questions[n * 7 % len(questions)]} Case {n % 83}." for n in range(400)]
    log = write_lines(tmp_path / "log.jsonl", [chat(n, text) for n, text in enumerate(texts)])
    run, model = tmp_path / "run", Slow()
    ingest = [sys.executable, "-m", "costaudit", "ingest", str(log), "--out", str(run)]
    subprocess.run(ingest, check=True, capture_output=True)
    with serving(model) as url:
        stopped = judge(run, url)
        while len(model.requests) < 12:
            assert stopped.poll() is None, stopped.communicate()
            time.sleep(0.01)
        stopped.kill()
        stopped.communicate()
        (store,) = run.rglob("*verdicts*.jsonl")
        kept = store.read_bytes().count(b"\n")
        paid = prompts(model)
        assert 0 < kept < PAIRS

        out, err = judge(run, url).communicate()
        calls = int(re.findall(r"(\d+) calls", err)[0])
        assert f"{kept} verdicts are known" in err, err
        asked = prompts(model)
        assert sum(asked.values()) == len(asked) == calls >= PAIRS - kept
        # only calls in flight when the process died are repeated
        assert sum((paid & asked).values()) == sum(paid.values()) - kept <= AT_ONCE
        first = out

        out, err = judge(run, url).communicate()
        assert not prompts(model), "every verdict is known"
        assert opinion(out) == opinion(first)


def prompts(model: Model) -> "Counter[str]":
    """Return the prompts received since the last call."""
    asked = Counter(json.dumps(one["messages"]) for one in model.requests)
    model.requests.clear()
    return asked


def opinion(out: str) -> dict[str, Any]:
    """Return the result of a judge's verdicts without the cost of this run."""
    (found,) = json.loads(out)["judges"]
    return {name: value for name, value in found.items() if name not in ("spent_usd", "note")}
