"""The installed command on the sample logs: its verdict, page and laws, and what it mustn't do."""

import gzip
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from rich.cells import cell_len

from costaudit.cli.analyze import Asked
from costaudit.contracts.audit import Audit, read_audit, write_audit
from costaudit.contracts.run_dir import RunDir
from costaudit.pipeline.analyze import analyze_and_write, audit_of
from costaudit.pipeline.loaded import load
from costaudit.progress import SilentProgress
from costaudit.report import language
from costaudit.report.html import HtmlReporter
from costaudit.report.markdown import MarkdownReporter
from costaudit.report.tables.levers import lever_tables
from costaudit.report.tables.prefix import prefix_tables
from costaudit.report.tables.semantic import claims_table, sweep_tables
from costaudit.report.tables.sessions import sessions_tables
from costaudit.report.tables.spend import spend_tables
from costaudit.report.tables.table import Screen, render_tables
from costaudit.report.terminal import TerminalReporter
from tests.conftest import ROOT, ChatbotRun, Said, installed
from tests.ingest.conftest import chat, write_lines

pytestmark = pytest.mark.timeout(1_800)  # the first test embeds the log
SAMPLES = ROOT / "sample_logs"
STAGES = ("ingest", "assemble", "embed", "simulate", "report")
NO_SOCKETS = """
import socket
def refuse(*_, **__):
    raise AssertionError("a connection was asked for")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
"""
Changes = Callable[[str], str]


@pytest.fixture(scope="module")
def audit(chatbot_run: ChatbotRun) -> Audit:
    return read_audit(chatbot_run.path / "audit.json")


@pytest.fixture(scope="module")
def audits(chatbot_run: ChatbotRun, audit: Audit, tmp_path_factory: Any) -> dict[str, Audit]:
    """The audits of all sample logs, by name."""
    cwd = tmp_path_factory.mktemp("others")
    made = {"chatbot": audit}
    for name in ("agent_anthropic", "broken"):
        said = installed("analyze", str(SAMPLES / f"{name}.jsonl.gz"), "--quiet", cwd=cwd)
        assert (said.code, said.err) == (0, "")
        made[name] = read_audit(cwd / f"costaudit-{name}" / "audit.json")
    return made


@pytest.fixture(scope="module")
def again(chatbot_run: ChatbotRun, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Said]:
    """The same audit as JSON, from the log and from its run, each with another hash seed."""
    site = tmp_path_factory.mktemp("site")
    (site / "sitecustomize.py").write_text(NO_SOCKETS)
    log: tuple[str, dict[str, str]] = (
        "sample_logs/support_chatbot.jsonl.zst",
        {"PYTHONHASHSEED": "0"},
    )
    run: tuple[str, dict[str, str]] = (
        chatbot_run.path.name, {"PYTHONHASHSEED": "1", "PYTHONPATH": str(site)},
    )  # fmt: skip
    return {
        name: installed(
            "analyze", given, "--format", "json", cwd=chatbot_run.cwd, environment=settings
        )
        for name, (given, settings) in {"log": log, "run": run}.items()
    }


def test_the_first_command_ends_with_dollars_and_a_report(chatbot_run: ChatbotRun) -> None:
    said = chatbot_run.said
    assert said.code == 0
    lines = said.out.splitlines()
    assert re.match(r"\$[\d,.]+ a month now, \$[\d,.]+ after: \d+% less \(\$", lines[0])
    assert lines[-1].startswith("Files") and "report.html" in lines[-1]
    assert "costaudit-support_chatbot" in lines[-1]
    assert (chatbot_run.path / "report.html").stat().st_size < 5_000_000
    assert len(lines) <= 25 and max(map(len, lines)) <= 80


def test_a_large_log_is_audited_the_same_in_less_memory(
    chatbot_run: ChatbotRun, tmp_path: Path
) -> None:
    """Also calls of agents, whose sessions need prompts longer."""
    options, agents = Asked().options(), RunDir(tmp_path / "agents")
    log = str(SAMPLES / "agent_anthropic.jsonl.gz")
    analyze_and_write([log], agents, options, SilentProgress())
    for run in (RunDir(chatbot_run.path), agents):
        audit = audit_of(load(run, options), options, SilentProgress(), at_once=0)
        write_audit(audit, tmp_path / "audit.json")
        assert (tmp_path / "audit.json").read_bytes() == run.audit_path.read_bytes()


def test_progress_goes_to_stderr_and_only_there(chatbot_run: ChatbotRun) -> None:
    said = chatbot_run.said
    stages = [line.split()[0] for line in said.err.splitlines()]
    assert [name for name in STAGES if name in stages] == list(STAGES)
    assert set(stages) == set(STAGES)
    assert not any(line.startswith(STAGES) for line in said.out.splitlines())


def test_the_readme_shows_what_it_prints(
    chatbot_run: ChatbotRun, readme_block: Callable[[str, str, Changes], None]
) -> None:
    readme_block("output:analyze", chatbot_run.said.out, in_round_numbers)


def in_round_numbers(text: str) -> str:
    """Round numbers to one digit and drop bars, because processors round differently."""
    text = re.sub(
        r"\d[\d,]*(\.\d+)?", lambda found: f"{float(found[0].replace(',', '')):.1g}", text
    )
    return re.sub(r" *█+| {2,}", " ", text)


def test_the_page_shows_its_charts_and_loads_nothing(chatbot_run: ChatbotRun) -> None:
    from tests.report.browser import ARGUMENTS, CHROMIUM, opened, playwright

    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page, wrong = opened(browser, chatbot_run.path / "report.html")
        for chart in (".fall", "#sweep-chart svg"):
            box = page.locator(chart).first.bounding_box()
            assert box["width"] > 400 and box["height"] > 150
        assert page.locator(".fall rect").count() >= 4  # now, two steps, after
        data = page.locator("#costaudit-data").text_content()
        browser.close()
    assert wrong == []
    assert msgspec.json.decode(data, type=Audit) == read_audit(chatbot_run.path / "audit.json")


def test_json_is_the_same_twice_under_any_hash_seed(
    chatbot_run: ChatbotRun, again: dict[str, Said], audit: Audit
) -> None:
    assert [said.code for said in again.values()] == [0, 0]
    assert again["log"].out == again["run"].out
    assert msgspec.json.decode(again["log"].out, type=Audit) == audit


def test_a_second_run_embeds_nothing_and_says_so(again: dict[str, Said]) -> None:
    for said in again.values():
        embedded = re.findall(r"(?m)^embed +(\d\S*) (?:questions|answers)", said.err)
        assert embedded and set(embedded) == {"0"}
    assert re.search(r"(?m)^ingest +0 bytes", again["log"].err)


def test_a_run_is_not_read_again(again: dict[str, Said]) -> None:
    assert "ingest" not in again["run"].err and "ingest" in again["log"].err


def test_no_connection_is_asked_for(again: dict[str, Said], tmp_path: Path) -> None:
    assert "connection" not in again["run"].err
    (tmp_path / "sitecustomize.py").write_text(NO_SOCKETS)
    code = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')"
    refused = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert "a connection was asked for" in refused.stderr  # so the patch above works


def test_other_programs_can_read_along(chatbot_run: ChatbotRun) -> None:
    command = f"costaudit report {chatbot_run.path.name} --format json"
    tools = Path(sys.executable).parent
    done = subprocess.run(
        f"set -o pipefail; {command} | python -m json.tool | head -2; {command} | head -c 9",
        shell=True,
        executable="/bin/bash",
        cwd=chatbot_run.cwd,
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith('{\n    "schema_version": "1",\n{')
    assert (done.stderr.replace("BrokenPipeError", ""), "Traceback" in done.stderr) == ("", False)


@pytest.mark.parametrize(
    ("settings", "options", "coloured"),
    [({}, (), True), ({"NO_COLOR": "1"}, (), False), ({}, ("--no-color",), False)],
    ids=["terminal", "NO_COLOR", "--no-color"],
)
def test_colour_is_for_terminals_that_want_it(
    chatbot_run: ChatbotRun, settings: dict[str, str], options: tuple[str, ...], coloured: bool
) -> None:
    script = Path(sys.executable).with_name("costaudit")
    own, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm"}
    with subprocess.Popen(
        [script, "report", chatbot_run.path, *options], stdout=theirs, env=environment | settings
    ) as process:
        os.close(theirs)
        shown = b"".join(lines_of(own))
    assert process.returncode == 0 and b"a month now" in shown
    assert (b"\x1b[" in shown) is coloured


def lines_of(terminal: int) -> Iterator[bytes]:
    """Read a terminal until the other side closes it."""
    while True:
        try:
            yield os.read(terminal, 1 << 16)
        except OSError:  # EIO: the other side is closed
            os.close(terminal)
            return


@pytest.mark.parametrize("name", ["chatbot", "agent_anthropic", "broken"])
def test_the_ledger_obeys_its_laws_to_the_last_digit(audits: dict[str, Audit], name: str) -> None:
    ledger = audits[name].ledger
    saved = sum((step.saved.usd for step in ledger.steps), Decimal(0))
    alone = sum((step.alone.usd for step in ledger.steps), Decimal(0))
    assert ledger.before.usd - saved == ledger.after.usd
    assert alone - saved == ledger.overlap.usd
    for earlier, later in zip(ledger.steps, ledger.steps[1:], strict=False):
        assert earlier.requests_after == later.requests_before >= later.requests_after


@pytest.mark.parametrize("name", ["chatbot", "agent_anthropic", "broken"])
def test_rows_are_kept_merged_or_skipped(audits: dict[str, Audit], name: str) -> None:
    quality = audits[name].quality
    assert quality.rows == quality.kept + quality.merged + quality.skipped
    for file in quality.files:
        assert file.rows == file.kept + file.merged + file.skipped
    assert quality.kept == {"chatbot": 12_000, "agent_anthropic": 374, "broken": 32}[name]


# Words that aren't translated: names of products, model vendors and price tables.
NAMES = re.compile(
    r"RedisVL|LangCache|LiteLLM|khazad|Portkey|BetterDB|sulci|genai-prices \d[\d.]*|\w+=\S+"
)


@pytest.mark.parametrize("name", ["chatbot", "agent_anthropic", "broken"])
def test_in_spanish_no_text_of_an_audit_stays_english(audits: dict[str, Audit], name: str) -> None:
    audit = audits[name]
    spanish = language.using(language.Style("es"))
    period = language.standing_for(audit.month.period)
    with spanish, period, language.left_in_english() as left:
        for reporter in (HtmlReporter(), TerminalReporter(), MarkdownReporter()):
            assert reporter.render(audit)
        tables = [*spend_tables(audit.spend), *lever_tables(audit.levers, audit.worth_testing)]
        tables += prefix_tables(audit.prefix) if audit.prefix else ()
        tables += sessions_tables(audit.sessions) if audit.sessions else ()
        tables += sweep_tables(audit.semantic) if audit.semantic else ()
        text = render_tables([*tables, claims_table(audit.claims)], "terminal", screen=Screen(80))
    assert {one for one in left if not NAMES.fullmatch(one)} == set()
    assert max(map(cell_len, text.decode().splitlines())) <= 80


def test_each_row_that_was_left_out_can_be_found(tmp_path: Path) -> None:
    log = SAMPLES / "broken.jsonl.gz"
    said = installed("analyze", str(log), "--format", "json", cwd=tmp_path)
    assert said.code == 0
    quality = json.loads(said.out)["quality"]
    skips = RunDir(tmp_path / "costaudit-broken").skips()
    assert len(skips) == quality["merged"] + quality["skipped"] == 2 + 13
    text = gzip.decompress(log.read_bytes())
    for row in skips.iter_rows(named=True):
        assert (row["source_file"], row["detail"] != "") == ("broken.jsonl.gz", True)
        assert re.fullmatch(r"[a-z0-9-]+", row["reason"])
        at = row["source_offset"]
        assert at == 0 or text[at - 1 : at] == b"\n"  # the offset is the start of a line
    counted = skips.filter(pl.col("fate") == "skipped")["reason"].value_counts()
    assert dict(counted.iter_rows()) == quality["skip_reasons"]
    assert f"{quality['skipped']} rows could not be read" in said.out


def test_the_agents_bill_is_the_vendors_list_price(audits: dict[str, Audit]) -> None:
    # dollars per million tokens: uncached input, read, 5-minute write, 1-hour write, output
    rates = {
        "claude-sonnet-4-5": ("3", "0.30", "3.75", "6", "15"),
        "claude-haiku-4-5": ("1", "0.10", "1.25", "2", "5"),
    }
    bill = Decimal(0)
    for line in gzip.decompress((SAMPLES / "agent_anthropic.jsonl.gz").read_bytes()).splitlines():
        record = json.loads(line)
        usage = (record["response"] or {}).get("usage")
        if usage:
            written = usage["cache_creation"]
            tokens = (
                usage["input_tokens"], usage["cache_read_input_tokens"],
                written["ephemeral_5m_input_tokens"], written["ephemeral_1h_input_tokens"],
                usage["output_tokens"],
            )  # fmt: skip
            prices = rates[record["request"]["model"]]
            bill += sum(n * Decimal(rate) for n, rate in zip(tokens, prices, strict=True))
    assert audits["agent_anthropic"].spend.total.total_usd == bill / 1_000_000


def test_the_chatbots_bill_is_what_its_gateway_logged(audit: Audit) -> None:
    assert audit.spend.logged_usd == pytest.approx(Decimal("59.88"), abs=Decimal("0.005"))
    assert audit.spend.total.total_usd == pytest.approx(audit.spend.logged_usd, rel=Decimal("1e-4"))


def test_the_agents_prompt_cache_is_simulated_as_it_was_billed(audits: dict[str, Audit]) -> None:
    prefix = audits["agent_anthropic"].prefix
    assert prefix is not None and prefix.agreement
    for row in prefix.agreement:
        assert row.ratio == pytest.approx(1, abs=0.02)


def test_a_folder_of_several_logs_is_one_audit(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    (folder / "2026-10").mkdir(parents=True)
    shutil.copy(SAMPLES / "broken.jsonl.gz", folder)
    write_lines(folder / "2026-10" / "day.jsonl", [chat(n, f"Question {n}?") for n in range(5)])
    (folder / "notes.txt").write_text("not a log\n")
    said = installed("analyze", "exports", "--format", "json", cwd=tmp_path)
    assert said.code == 0
    quality = json.loads(said.out)["quality"]
    kept = {file["name"]: file["kept"] for file in quality["files"]}
    assert kept == {"2026-10/day.jsonl": 5, "broken.jsonl.gz": 32, "notes.txt": 0}
    assert (tmp_path / "costaudit-exports" / "report.html").exists()


@pytest.mark.slow
def test_standard_input_is_a_log_too(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "day.jsonl", [chat(n, f"Question {n}?") for n in range(5)])
    piped = installed("analyze", "-", "-q", cwd=tmp_path, stdin=gzip.compress(log.read_bytes()))
    assert (piped.code, piped.err) == (0, "")
    named = installed("analyze", "day.jsonl", "-q", cwd=tmp_path)
    assert piped.out.splitlines()[:-1] == named.out.splitlines()[:-1]
    assert "costaudit-log" in piped.out.splitlines()[-1]


def test_a_cache_is_worth_the_same_in_the_sweep_and_in_the_ledger(chatbot_run: ChatbotRun) -> None:
    # Some of its hits are wrong: they save nothing, on any page.
    audit = read_audit(chatbot_run.path / "audit.json")
    assert audit.semantic is not None and audit.semantic.exact is not None
    chosen, exact = audit.semantic.chosen, audit.semantic.exact
    assert chosen is not None and chosen.unsafe_served_share is not None
    assert chosen.unsafe_served_share.value > 0
    steps = {one.lever: one for one in (*audit.ledger.steps, *audit.ledger.left_out)}
    tiny = Decimal("0.000002")
    for lever, swept in (("semantic", chosen.net_saved), ("duplicates", exact.net_saved)):
        alone = steps[lever].alone
        for end in ("usd", "low_usd", "high_usd"):
            ledger, sweep = getattr(alone, end), getattr(swept, end)
            assert abs(ledger - sweep) <= tiny, (lever, end, ledger, sweep)
