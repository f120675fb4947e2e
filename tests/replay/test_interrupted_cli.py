"""`costaudit replay`, stopped by a signal in the middle, continues when it is run again."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from tests.ingest.conftest import chat, write_lines
from tests.replay.conftest import RedisServer

REQUESTS = 900
SUBJECTS = ("parcel", "invoice", "refund", "voucher", "address", "account", "password", "delivery")
VERBS = ("find", "change", "cancel", "track", "print", "delete", "share")


class Whole(NamedTuple):
    """A run, and the decisions of its uninterrupted replay."""

    run: Path
    outcomes: pl.DataFrame


@pytest.fixture(scope="module")
def analyzed(tmp_path_factory: pytest.TempPathFactory, shared_redis: RedisServer) -> Whole:
    """Ingest questions that each recur several times, and replay them without interruption."""
    folder = tmp_path_factory.mktemp("interrupted")
    questions = [f"How do I {verb} my {subject}?" for verb in VERBS for subject in SUBJECTS]
    texts = [f"{questions[n * 7 % len(questions)]} Case {n % 211}." for n in range(REQUESTS)]
    log = write_lines(folder / "log.jsonl", [chat(n, text) for n, text in enumerate(texts)])
    run = folder / "run"
    first = ["replay", str(log), "--out", str(run), *options(shared_redis)]
    command(*first, "--quiet").check_returncode()
    return Whole(run, outcomes(run))


def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "costaudit", *arguments], capture_output=True, text=True, check=False
    )


def options(server: RedisServer) -> list[str]:
    return ["--cache", server.url(), "--threshold", "0.9"]


def outcomes(run: Path) -> pl.DataFrame:
    (file,) = (run / "outcomes").glob("replay-redis*.parquet")
    table = pl.read_parquet(file)
    file.unlink()
    return table.select("request_id", "result", "matched_id")


def acknowledged(run: Path) -> int:
    files = list((run / "outcomes").glob("*.journal"))
    return files[0].read_bytes().count(b"\n") - 1 if files else 0  # without the header


@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130), (signal.SIGTERM, 130)],
    ids=["kill", "int", "term"],
)
def test_the_same_command_goes_on(
    analyzed: Whole, redis_server: RedisServer, sent: signal.Signals, code: int
) -> None:
    run, whole = analyzed
    given = ["replay", str(run), *options(redis_server)]
    assert whole.filter(result="hit").height > 100

    # At 300 per second it takes three seconds, long enough to be stopped in the middle.
    stopped = subprocess.Popen(
        [sys.executable, "-m", "costaudit", *given, "--max-rate", "300"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        while acknowledged(run) < 200:
            assert stopped.poll() is None, stopped.communicate()
            time.sleep(0.01)
        stopped.send_signal(sent)
        _, said = stopped.communicate(timeout=60)
    finally:
        stopped.kill()
    done = acknowledged(run)
    assert stopped.returncode == code
    assert 200 <= done < REQUESTS
    assert (redis_server.key_names() == []) == (sent != signal.SIGKILL)  # a kill leaves its keys
    if sent != signal.SIGKILL:
        assert f"Stopped after {done:,} of {REQUESTS:,} requests" in said
        assert "it continues from" in said

    again = command(*given, "--max-rate", "100000", "--format", "json", "--quiet")
    assert again.returncode == 0, again.stderr
    section = json.loads(again.stdout)
    assert section["resumed"] == done
    assert section["agreed"] == section["requests"] == REQUESTS
    assert outcomes(run).equals(whole)
    assert redis_server.key_names() == []
    assert acknowledged(run) == 0
