"""User errors end with a sentence, a next step and the right exit code, never a traceback."""

import gzip
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from costaudit.contracts.manifest import MANIFEST_VERSION
from tests.cli.conftest import write_log
from tests.conftest import Said, installed

Run = Callable[..., Said]
SENTENCE = re.compile(
    r"costaudit: .+[.?]\n  .+[^\n]\n\Z"
)  # the error, and then the next step on its own line


def is_explained(said: Said, code: int) -> bool:
    """Return whether only an explanation was printed, with this exit code."""
    conversation = re.sub(r"(?m)^(ingest|assemble|embed|simulate|report) .*\n", "", said.err)
    explained = SENTENCE.fullmatch(conversation) is not None
    return explained and "Traceback" not in said.err and (said.code, said.out) == (code, "")


FILES: dict[str, bytes] = {
    "empty.jsonl": b"",
    "blank.jsonl": b"\n  \n\n",
    "binary.bin": bytes(range(256)) * 40,
    "broken.gz": gzip.compress(b"{}")[:12],
    "not_gzip.jsonl.gz": b"\x1f\x8b and then nothing of the kind",
    "not_zstd.jsonl.zst": b"\x28\xb5\x2f\xfd and then nothing of the kind",
    "archive.xlsx": b"PK\x03\x04 a spreadsheet",
    "page.html": b"<!doctype html>\n<p>Sign in</p>\n",
    "access.log": b'127.0.0.1 - - [10/Oct/2026:13:55:36 +0000] "GET / HTTP/1.0" 200 23\n' * 9,
    "ledger.csv": b"day,amount\n2026-10-01,12\n2026-10-02,13\n",
    "app.jsonl": b'{"level": "info", "msg": "started"}\n' * 5,
    "short.parquet": b"PAR1",
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_log_is_named(costaudit: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(FILES[name])
    said = costaudit("analyze", name)
    assert is_explained(said, 2)
    assert name in said.err
    assert not (tmp_path / f"costaudit-{name.partition('.')[0]}" / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "what", "what_next"),
    [
        (["2026/10"], "no file 2026/10", "Check the path"),
        (["log.json"], "no file log.json", "Did you mean log.jsonl?"),
        (["log.jsonl", "gone.jsonl"], "no file gone.jsonl", ""),
        (["*.csv"], r"No file matches \*.csv", "quote it"),
        (["empty"], "folder empty has no files", "Name a folder with logs"),
        (["notes"], "None of 2 files is a log", "--source"),
        (["gopher://log"], "gopher://log", "https://"),
        (["s3://bucket/log.jsonl"], "can't be", ""),
        ([], "Missing argument 'LOG", "--help"),
    ],
    ids=str,
)
def test_logs_that_are_not_there(
    costaudit: Run, tmp_path: Path, arguments: list[str], what: str, what_next: str
) -> None:
    write_log(tmp_path / "log.jsonl")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "read.txt").write_text("hello\n")
    (tmp_path / "notes" / "photo.raw").write_bytes(bytes(99))
    said = costaudit("analyze", *arguments)
    assert is_explained(said, 2)
    message, hint = said.err.splitlines()[-2:]
    assert re.search(what, message) and what_next in hint


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ("--nope", "--nope"),
        ("--format pdf", "'pdf'"),
        ("--source word", "'word'"),
        ("--map gone.toml", "gone.toml"),
        ("--map log.jsonl", "log.jsonl"),
        ("--since yesterday", "'yesterday'"),
        ("--until 2026-13-01", "'2026-13-01'"),
        ("--where tenant", "'tenant'"),
        ("--where colour=blue", "'colour=blue'"),
        ("--redact rot13", "'rot13'"),
        ("--prices gone.toml", "gone.toml"),
        ("--prices log.jsonl", "log.jsonl"),
        ("--cost-mode guess", "'guess'"),
        ("--invoice-usd lots", "'lots'"),
        ("--invoice-usd 0", "'0'"),
        ("--embedder gone", "gone"),
        ("--thresholds high", "high"),
        ("--thresholds 0.9:0.8:0.1", "0.9:0.8:0.1"),
        ("--scope colour", "'colour'"),
        ("--key first", "'first'"),
        ("--ttl forever", "'forever'"),
        ("--ttl -1h", "'-1h'"),
        ("--ttl nan", "'nan'"),
        ("--ttl-kind gliding", "'gliding'"),
        ("--max-entries 0", "0 entries"),
        ("--max-entries few", "--max-entries"),
        ("--eviction random", "'random'"),
        ("--visible-after never", "'never'"),
        ("--guard luck", "luck"),
        ("--max-wrong 101%", "'101%'"),
        ("--max-wrong nan", "'nan'"),
        ("--effort-usd semantic", "'semantic'"),
        ("--effort-usd semantic=long", "'long'"),
        ("--effort-usd magic=12", "'magic'"),
        ("--seed dice", "--seed"),
        ("--seed -1", "--seed"),
        ("--config gone.toml", "gone.toml"),
        ("--config log.jsonl", "log.jsonl"),
        ("--out log.jsonl", "log.jsonl"),
        ("--out log.jsonl/run", "log.jsonl"),
        ("--out /proc/none/run", "/proc/none"),
    ],
)
def test_options_that_cant_be_used(costaudit: Run, tmp_path: Path, options: str, what: str) -> None:
    write_log(tmp_path / "log.jsonl")
    said = costaudit("analyze", "log.jsonl", *options.split())
    assert is_explained(said, 2)
    assert "assemble" not in said.err  # refused before any work starts
    assert what in said.err.splitlines()[-2]


@pytest.mark.parametrize(
    "verb", ["sweep", "clusters", "judge --judge human:pairs.csv", "replay",
             "warm --file answers.jsonl"],
)  # fmt: skip
def test_an_unknown_embedder_is_found_before_the_log_is_read(
    costaudit: Run, tmp_path: Path, verb: str
) -> None:
    write_log(tmp_path / "log.jsonl")
    said = costaudit(*verb.split(), "log.jsonl", "--embedder", "gone")
    assert is_explained(said, 2) and "'gone'" in said.err
    assert not (tmp_path / "costaudit-log").exists()


def test_embedders_side_by_side_are_known_before_the_log_is_read(
    costaudit: Run, tmp_path: Path
) -> None:
    write_log(tmp_path / "log.jsonl")
    said = costaudit("sweep", "log.jsonl", "--compare-embedders", "minilm,gone")
    assert is_explained(said, 2) and "'gone'" in said.err
    assert not (tmp_path / "costaudit-log").exists()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["analise", "log.jsonl"], "analise"),
        (["report"], "argument 'run'"),
        (["report", "gone"], "gone"),
        (["report", "log.jsonl"], "log.jsonl is not an audit"),
        (["report", "folder"], "no audit"),
        (["report", "other"], "another version"),
        (["report", "garbled"], "is not an audit"),
        (["analyze", "half"], "missing required field"),
        (["analyze", "later"], "another version"),
        (["prices", "grue-9"], "grue-9"),
        (["prices", "gpt-4o", "--date", "soon"], "'soon'"),
        (["ingest", "gone.jsonl"], "gone.jsonl"),
        (["ingest", "log.jsonl", "--out", "log.jsonl"], "log.jsonl"),
    ],
    ids=str,
)
def test_verbs_and_runs_that_are_none(
    costaudit: Run, tmp_path: Path, arguments: list[str], what: str
) -> None:
    write_log(tmp_path / "log.jsonl")
    files = {
        "folder/notes.txt": "",
        "other/audit.json": '{"schema_version": "0"}',
        "garbled/audit.json": "no JSON",
        "half/manifest.json": f'{{"manifest_version": {MANIFEST_VERSION}}}',
        "later/manifest.json": '{"manifest_version": 99}',
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    for name in ("requests", "blocks"):
        (tmp_path / "later" / f"{name}.parquet").write_bytes(b"")
    said = costaudit(*arguments)
    assert is_explained(said, 2)
    assert what in said.err.splitlines()[-2]


def test_nothing_left_to_audit_is_too_little_data(costaudit: Run, tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl")
    said = costaudit("analyze", "log.jsonl", "--since", "2030-01-01")
    assert is_explained(said, 4)
    assert "None of 8 records is left" in said.err and "--since" in said.err


def test_a_time_to_live_needs_times(costaudit: Run, tmp_path: Path) -> None:
    lines = write_log(tmp_path / "timed.jsonl").read_text().splitlines()
    untimed = "\n".join(re.sub(r'"timestamp": "[^"]+", ', "", line) for line in lines)
    (tmp_path / "log.jsonl").write_text(untimed)
    said = costaudit("analyze", "log.jsonl", "--ttl", "1h")
    assert is_explained(said, 4)
    assert "no times" in said.err


def test_strict_stops_at_the_first_bad_record(costaudit: Run, tmp_path: Path) -> None:
    path = write_log(tmp_path / "log.jsonl")
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + b"{broken\n")
    said = costaudit("analyze", "log.jsonl", "--strict")
    assert is_explained(said, 2)
    assert f"log.jsonl, offset {size}: " in said.err and "--strict" in said.err


def test_a_full_disk_is_said(
    costaudit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_log(tmp_path / "log.jsonl")
    said = costaudit("analyze", "log.jsonl", "--out", "/dev/full/run")
    assert is_explained(said, 2)
    assert "/dev/full" in said.err


def test_what_the_console_script_says_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_bytes(b"")
    said = installed("analyze", "empty.jsonl", cwd=tmp_path)
    assert is_explained(said, 2)
    assert said.err == "costaudit: empty.jsonl is empty.\n  Export the log again.\n"


def test_debug_lets_the_trace_through(tmp_path: Path) -> None:
    said = installed("analyze", "gone.jsonl", "--debug", cwd=tmp_path)
    assert said.code == 1 and "Traceback" in said.err and "InputError" in said.err


def test_an_interruption_says_that_the_work_is_kept(
    costaudit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    write_log(tmp_path / "log.jsonl")
    monkeypatch.setattr("costaudit.pipeline.loaded.ingest", interrupt)
    said = costaudit("analyze", "log.jsonl")
    assert is_explained(said, 130) and "run the same command again" in said.err


def test_a_defect_is_called_one(
    costaudit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_log(tmp_path / "log.jsonl")
    monkeypatch.setattr("costaudit.pipeline.loaded.ingest", lambda *_: 1 // 0)
    said = costaudit("analyze", "log.jsonl")
    assert is_explained(said, 1) and "ZeroDivisionError" in said.err and "--debug" in said.err


def test_without_a_verb_the_help_is_shown(costaudit: Run) -> None:
    said = costaudit()
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("Usage: ") and "analyze" in said.out


def test_standard_input_that_is_empty(
    costaudit: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "nothing").open("wb+") as file:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=file))
        assert is_explained(costaudit("analyze", "-"), 2)
