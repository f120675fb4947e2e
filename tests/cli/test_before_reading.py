"""What can't work is refused before the log is read; in these tests the log doesn't exist."""

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import write_log
from tests.conftest import Said

Run = Callable[..., Said]
NOTHING = "127.0.0.1:9"  # the discard port, on which nobody listens


@pytest.fixture(autouse=True)
def without_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    (tmp_path / "afile").write_text("a file, not a folder")
    (tmp_path / "filled.csv").write_text("key,verdict\nk,perhaps\n")


@pytest.mark.parametrize(
    ("code", "said", "line"),
    [
        (2, "'opnai'", "judge --judge opnai:gpt-4o"),
        (2, "no judge named 'gpt-4o'", "judge --judge gpt-4o"),
        (5, "OPENAI_API_KEY", "judge --judge openai:gpt-4o"),
        (5, "ANTHROPIC_API_KEY", "judge --judge anthropic:claude-sonnet-4-5"),
        (5, "region", "judge --judge bedrock:amazon.nova-lite-v1:0"),
        (2, "price of openai:grue-9", f"judge --judge openai:grue-9?base_url=http://{NOTHING}"),
        (2, "rates.toml", f"judge --judge openai:gpt-4o?base_url=http://{NOTHING} "
                          "--prices rates.toml"),
        (2, "afile is a file", "judge --judge human:afile/form.csv"),
        (2, "perhaps", "judge --judge human:filled.csv"),
        (2, "scheme", "replay --cache rediss//localhost"),
        (5, NOTHING, f"replay --cache redis://{NOTHING}"),
        (5, NOTHING, f"replay --cache redis://{NOTHING}?flavour=vectorset"),
        (5, NOTHING, f"replay --cache http://{NOTHING}/v1 --max-spend 1"),
        (2, "--max-spend", f"replay --upstream http://{NOTHING}/v1"),
        (2, "'opnai'", "replay --upstream opnai:gpt-4o"),
        (5, "OPENAI_API_KEY", "replay --upstream openai:gpt-4o"),
        (2, "memory:// can't be filled", "warm --cache memory://"),
        (5, NOTHING, f"warm --cache redis://{NOTHING}"),
        (2, "afile is a file", "warm --file afile/answers.jsonl"),
        (2, "folder", "warm --file ."),
        (5, "OPENAI_API_KEY", "analyze --embedder openai"),
        (5, "AWS_REGION", "analyze --embedder bedrock"),
        (2, "vectors.parquet", "analyze --embedder vectors.parquet"),
        (5, "OPENAI_API_KEY", "sweep --compare-embedders minilm,openai"),
        (2, "afile is a file", "analyze --out afile"),
        (2, "afile is a file", "analyze --out afile/run"),
        (2, "afile is a file", "sweep --out afile/run"),
    ],
)  # fmt: skip
def test_what_can_not_work_is_said_at_once(costaudit: Run, code: int, said: str, line: str) -> None:
    verb, *options = line.split()
    found = costaudit(verb, "missing.jsonl", *options)
    assert said in found.err and "missing.jsonl" not in found.err
    assert found.code == code


def test_a_report_that_can_not_be_written_is_said_at_once(costaudit: Run, tmp_path: Path) -> None:
    (tmp_path / "run" / "report.html").mkdir(parents=True)
    found = costaudit("analyze", "missing.jsonl", "--out", "run")
    assert found.code == 2 and "report.html is a folder" in found.err


def test_a_port_that_is_taken_is_said_at_once(costaudit: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        found = costaudit("replay", "missing.jsonl", "--metrics-port", port)
    assert found.code == 2 and port in found.err and "--metrics-port" in found.err


def test_pricing_a_replay_needs_no_cache(costaudit: Run, tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl")
    line = f"replay log.jsonl --threshold 0.9 --dry-run --cache redis://{NOTHING}"
    assert costaudit(*line.split()).code == 0


def test_a_package_that_is_not_installed_is_named(
    costaudit: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setitem(sys.modules, "openai", None)
    found = costaudit("judge", "missing.jsonl", "--judge", "openai:gpt-4o")
    assert found.code == 2 and "pip install openai" in found.err
