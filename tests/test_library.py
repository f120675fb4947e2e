"""The library returns what the command line prints, keeps nothing by default, and loads lazily."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas
import polars as pl
import pyarrow
import pytest

import costaudit
from costaudit.contracts.audit import encode_audit
from costaudit.errors import InputError, RunDirError, UsageError
from costaudit.library import Result, _as_inputs, _option_texts, _options
from tests.conftest import ROOT, installed

QUESTIONS = ("Where is my parcel?", "Can I pay by invoice?", "Do you ship to Malta?")
MAPPING = {
    "ts": "started",
    "model": "llm",
    "prompt": "question",
    "answer": "reply",
    "input_tokens": "tokens_in",
    "output_tokens": "tokens_out",
}


def table() -> pl.DataFrame:
    start = datetime(2026, 11, 2, 9, tzinfo=UTC)
    return pl.DataFrame(
        {
            "started": [start + timedelta(minutes=n) for n in range(12)],
            "llm": ["gpt-4o-mini"] * 12,
            "question": [QUESTIONS[n % 3] for n in range(12)],
            "reply": [f"Answer {n % 3}." for n in range(12)],
            "tokens_in": [1_000_000] * 12,
            "tokens_out": [0] * 12,
        }
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "calls.ndjson"
    table().write_ndjson(path)
    return path


@pytest.fixture(scope="module")
def result() -> Result:
    return costaudit.analyze(table(), MAPPING)


@pytest.mark.slow
def test_the_page_about_the_library_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sample_logs").symlink_to(ROOT / "sample_logs")
    page = (ROOT / "docs" / "library.md").read_text("utf-8")
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(compile(block, "docs/library.md", "exec"), names)
    assert "in this log" in capsys.readouterr().out
    assert {"audit.html", "small-run"} <= {path.name for path in tmp_path.iterdir()}


def test_twelve_calls_cost_what_they_cost(result: Result) -> None:
    assert result.audit.spend.total.total_usd == Decimal("0.15") * 12  # a million tokens each
    assert len(result.requests) == 12
    assert len(result.skips) == 0
    assert set(QUESTIONS) < set(result.blocks["text"])


@pytest.mark.parametrize("kind", [pl.DataFrame.lazy, pl.DataFrame.to_arrow, pl.DataFrame.to_pandas])
def test_tables_of_every_library_are_taken(
    kind: Callable[[pl.DataFrame], object], result: Result
) -> None:
    other = kind(table())
    assert isinstance(other, pl.LazyFrame | pyarrow.Table | pandas.DataFrame)
    found = costaudit.analyze(other, MAPPING)
    assert found.audit.spend == result.audit.spend
    assert found.audit.semantic == result.audit.semantic


def test_it_says_what_the_command_says(log: Path, tmp_path: Path) -> None:
    fields = tmp_path / "fields.json"
    fields.write_text(json.dumps(MAPPING))
    mine = costaudit.analyze(log, MAPPING, ttl=timedelta(hours=1), out=tmp_path / "mine")
    said = installed(
        "analyze", str(log), "--map", str(fields), "--ttl", "1h", "--format", "json", "--quiet",
        cwd=tmp_path,
    )  # fmt: skip
    assert said.code == 0, said.err
    assert said.out.encode() == encode_audit(mine.audit)
    assert (tmp_path / "mine" / "audit.json").read_bytes() == encode_audit(mine.audit)
    assert (tmp_path / "mine" / "report.html").stat().st_size > 10_000


def test_nothing_is_kept_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = costaudit.analyze(table(), MAPPING)
    assert {path.with_suffix("") for path in tmp_path.iterdir()} == {found.run.path}
    assert len(found.requests) == 12
    del found
    assert list(tmp_path.iterdir()) == []


def test_a_run_directory_is_a_log_and_its_audit_stays_as_it_is(log: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    costaudit.analyze(log, MAPPING, out=run)
    before = (run / "audit.json").read_bytes()
    again = costaudit.analyze(run, ttl="1h")
    assert (run / "audit.json").read_bytes() == before
    assert again.audit.semantic is not None
    assert again.audit.semantic.ttl_s == 3600
    assert costaudit.open_run(run).audit.verdict == again.audit.verdict


def test_a_string_is_one_path_and_a_list_is_many(log: Path) -> None:
    for given, paths in (("abc", ["abc"]), (log, [str(log)]), ([log, "a"], [str(log), "a"])):
        with _as_inputs(given, "fields.toml") as found:
            assert found == (paths, Path("fields.toml"))
    with pytest.raises(InputError, match="no file a"):
        costaudit.analyze("a")


@pytest.mark.parametrize("log", [None, 3, b"log.jsonl", [1, 2]])
def test_what_is_no_log_is_refused(log: object) -> None:
    with pytest.raises(InputError, match="can't be read from"):
        costaudit.analyze(log)


def test_settings_are_read_as_options_are() -> None:
    asked = _option_texts(
        {
            "where": "model!=gpt-4",
            "scope": ["tenant", "model"],
            "thresholds": (0.8, 0.95),
            "max_wrong": 0.005,
            "ttl": timedelta(hours=2),
            "since": datetime(2026, 11, 1, tzinfo=UTC),
            "invoice_usd": Decimal("12.50"),
            "effort_usd": {"batch": 500},
            "guard": None,
        }
    )
    options = _options(asked)
    assert options.ingest.where == ("model!=gpt-4",)
    assert options.policy.scope == ("tenant", "model")
    assert options.thresholds == "0.8,0.95"
    assert options.max_wrong_share == 0.005
    assert options.policy.ttl_s == 7200
    assert options.ingest.since == datetime(2026, 11, 1, tzinfo=UTC)
    assert options.invoice_usd == Decimal("12.50")
    assert options.terms.efforts["batch"].usd == 500


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"treshold": 0.9}, "thresholds"),
        ({"format": "md"}, "to_markdown"),
        ({"seed": "1"}, "default"),
        ({"strict": "yes"}, "default"),
        ({"ttl": True}, "default"),
        ({"ttl": object()}, "text"),
        ({"ttl": "soon"}, "30m"),
        ({"redact": "all"}, "mask"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(settings: dict[str, Any], hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        _options(_option_texts(settings))
    assert hint in caught.value.hint


def test_a_result_can_be_asked_again(result: Result) -> None:
    section = result.sweep(thresholds=[0.9], ttl=["1h", "none"])
    assert [point.min_similarity for point in section.points] == [0.9]
    assert len(section.lifetimes) == 2
    assert result.prefix() == result.audit.prefix
    assert result.sweep() == result.audit.semantic


def test_a_notebook_shows_the_verdict_as_text_that_can_do_nothing(result: Result) -> None:
    shown = result._repr_html_()
    assert "in this log" in shown
    assert "<" not in shown.removeprefix('<pre style="line-height: 1.25">').removesuffix("</pre>")


def test_reports_are_written_where_they_can_be(result: Result, tmp_path: Path) -> None:
    assert result.to_html(tmp_path / "page.html").read_bytes().startswith(b"<!doctype html>")
    assert result.to_markdown(tmp_path / "page.md") == (tmp_path / "page.md").read_text("utf-8")
    with pytest.raises(UsageError, match="is a folder"):
        result.to_html(tmp_path)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match="not a run directory"):
        costaudit.open_run(tmp_path)


def test_importing_it_loads_nothing() -> None:
    code = "import sys; before = set(sys.modules); import costaudit; costaudit.__version__\n"
    code += "print(sorted(set(sys.modules) - before - {'typing', 're', 'enum'}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in re.findall(r"'([\w.]+)'", run.stdout)}
    assert loaded <= {"costaudit", *sys.stdlib_module_names}
    assert not loaded & {"inspect", "dataclasses", "asyncio", "ast"}
    assert set(costaudit.__all__) < set(dir(costaudit))


@pytest.mark.slow
def test_a_script_without_a_guard_works(tmp_path: Path, log: Path) -> None:
    more = tmp_path / "more.ndjson"
    more.write_bytes(log.read_bytes().replace(b"2026-11-02", b"2026-11-03"))
    script = tmp_path / "script.py"
    script.write_text(
        "print('began')\nimport costaudit\n"
        f"found = costaudit.analyze({[str(log), str(more)]!r}, {MAPPING!r})\n"
        "print(len(found.requests))\n"
    )
    run = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert run.stdout.split() == ["began", "24"], run.stderr


def test_settings_come_to_what_the_command_line_would_make_of_them() -> None:
    """A single string is one item, never its characters, and a number stays a number."""
    from costaudit.library import _option_texts

    texts = _option_texts({"invoice": "bill.csv", "invoice_rate": {"EUR": "1.1"}, "horizon": 6})
    assert texts == {"invoice": ["bill.csv"], "invoice_rate": ["EUR=1.1"], "horizon": 6}
