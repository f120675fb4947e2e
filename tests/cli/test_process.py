"""What a shell may do to the command: closed streams, signals, limits on files and memory."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from costaudit.contracts.run_dir import RunDir
from tests.ingest.conftest import chat, write_lines

COMMAND = [sys.executable, "-m", "costaudit", "ingest"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "x.jsonl", [chat(n, f"Question {n}") for n in range(60)])


def limited(log: Path, run: Path, limit: int, size: int) -> "subprocess.CompletedProcess[str]":
    """Ingest under a system resource limit."""

    def limits() -> None:
        resource.setrlimit(limit, (size, size))

    told = [*COMMAND, str(log), "--out", str(run)]
    quiet = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        told, capture_output=True, text=True, check=False, preexec_fn=limits, env=quiet
    )


def test_streams_that_were_closed_are_no_fault_and_no_file_takes_their_place(
    log: Path, tmp_path: Path
) -> None:
    def close() -> None:
        for handle in range(3):
            os.close(handle)

    told = [*COMMAND, str(log), "--out", str(tmp_path / "run")]
    assert subprocess.run(told, check=False, preexec_fn=close).returncode == 0
    run = RunDir(tmp_path / "run")
    assert (len(run.requests()), run.manifest().ingest.kept) == (60, 60)


def test_a_file_size_limit_is_named_and_what_was_there_stays(log: Path, tmp_path: Path) -> None:
    found = limited(log, tmp_path / "run", resource.RLIMIT_FSIZE, 4_096)
    assert found.returncode == 2
    assert "larger than this shell allows (ulimit -f)" in found.stderr
    assert "Traceback" not in found.stderr and len(found.stderr.splitlines()) <= 4
    assert not list((tmp_path / "run").rglob("*.part"))
    found = limited(log, tmp_path / "run", resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)
    assert (found.returncode, len(RunDir(tmp_path / "run").requests())) == (0, 60)


def test_too_little_memory_is_refused_before_anything_is_read(log: Path, tmp_path: Path) -> None:
    found = limited(log, tmp_path / "run", resource.RLIMIT_AS, 1_500_000_000)
    assert found.returncode == 2
    assert found.stderr.startswith("costaudit: The shell allows only 1.5 GB of address space")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_one_line_and_the_code_that_shells_have(
    number: signal.Signals, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    told = [*COMMAND, str(pipe), "--out", str(tmp_path / "run")]
    # A shell without a terminal may ignore SIGHUP (nohup), and a child inherits that.
    running = subprocess.Popen(
        told,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL) and None,
    )
    writer = os.open(pipe, os.O_WRONLY)  # returns when the other side opens it
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    os.close(writer)
    assert running.returncode == 128 + number
    assert said.splitlines()[0] == "costaudit: Interrupted."


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    from costaudit.cli.process import signals_interrupt

    before: Callable[..., object] | int | None = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_interrupt() as came:
            os.kill(os.getpid(), signal.SIGHUP)
        assert came == []
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_poor_terminal_has_its_answer(log: Path) -> None:
    poor = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TERM": "dumb"}
    told = [sys.executable, "-m", "costaudit", "spend", str(log)]
    env = {**os.environ, **poor, "COLUMNS": "20"}
    found = subprocess.run(told, capture_output=True, check=False, env=env)
    assert found.returncode == 0
    assert found.stdout.startswith(b"$0.03 for 60 requests.") and b"\x1b" not in found.stdout
