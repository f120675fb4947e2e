"""Findings about a log from ingest: each comes from a small real log, with its figures."""

from pathlib import Path
from typing import Any

import pytest

from costaudit.contracts.audit import Audit, Finding
from costaudit.contracts.run_dir import RunDir
from costaudit.pipeline.analyze import analyze
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.report.html import HtmlReporter
from costaudit.report.language import Style, said, using
from costaudit.report.terminal import TerminalReporter
from tests.ingest.conftest import chat, write_lines


def bare(number: int, **usage: Any) -> dict[str, Any]:
    """Return a gpt-4o call without texts: 1,000 + 100 tokens, $0.0035."""
    record = chat(number, tokens=(1_000, 0, 100))
    record["request"]["messages"] = []
    record["response"]["choices"][0]["message"]["content"] = None
    record["response"]["usage"] |= usage
    return record


def shared_id(number: int, tokens: int) -> dict[str, Any]:
    record = bare(number, prompt_tokens=tokens, total_tokens=tokens + 100)
    record["response"]["id"] = "chatcmpl-one"
    return record


def uncounted(number: int) -> dict[str, Any]:
    record = bare(number)
    del record["response"]["usage"]
    return record


def undecided() -> dict[str, Any]:
    """Return an observation whose input of 1,000 may or may not include its 600 cached tokens."""
    return {
        "id": "obs-1", "traceId": "t-1", "type": "GENERATION", "name": "answer",
        "startTime": "2026-10-05T10:00:00.000Z", "endTime": "2026-10-05T10:00:01.000Z",
        "model": "claude-sonnet-4-5", "modelParameters": {}, "input": None, "output": None,
        "usageDetails": {"input": 1_000, "cache_read_input_tokens": 600, "output": 100},
    }  # fmt: skip


LOGS: dict[str, list[Any]] = {
    "a.jsonl": [
        *(bare(n) for n in range(1, 11)),
        bare(1), bare(2),  # logged twice: 2 x $0.0035
        shared_id(20, 1_000), shared_id(21, 2_000),
        bare(30, novel_cache_tokens=12), bare(31, novel_cache_tokens=30),
        bare(32, prompt_tokens_details={"audio_tokens": "some"}),
        uncounted(33),
        "{not a record",
    ],
    "b.jsonl": [undecided()],
}  # fmt: skip
FINDINGS = {
    "calls-told-again": (
        "2 records of $0.0070 repeat calls and are not counted.",
        "2 registros, que suman 0,0070 US$, repiten llamadas y no se cuentan.",
    ),
    "colliding-ids": ("2 calls share an id.", "2 llamadas comparten un identificador."),
    "unread-usage": (
        "A number in the usage is not read.",
        "Hay un número en los datos de uso que no se lee.",
    ),
    "unreadable-usage": (
        "A count in the usage can't be read.",
        "Hay un recuento en los datos de uso que no se puede leer.",
    ),
    "convention-undecided": (
        "Nothing shows if the input of claude-sonnet-4-5 includes cached tokens.",
        "Nada muestra si la entrada de claude-sonnet-4-5 incluye los tokens en caché.",
    ),
    "usage-missing": (
        "1 request was answered without token counts.",
        "1 petición se respondió sin recuento de tokens.",
    ),
    "unpriced": (
        "11.3% of the tokens are in calls without a full price.",
        "El 11,3 % de los tokens está en llamadas sin un precio completo.",
    ),
    "rows-skipped": ("1 row could not be read.", "No se pudo leer 1 fila."),
}
DETAILS = {
    "calls-told-again": "Why, and how many: with the id of another (2). Each is in skips.parquet",
    "colliding-ids": "Their prompts or tokens differ, so each is counted.",
    "unread-usage": "Their sums, and in how many calls: novel_cache_tokens 42 (2).",
    "unreadable-usage": "In how many calls: audio_input_token (1).",
    # 1,000 at $3, 600 at $0.30, 100 at $15 a million: 0.00468; if the input includes them: 0.00288
    "convention-undecided": "$0.0047 as read, where the input does not include them; $0.0029",
    "usage-missing": "Their cost is not in the figures.",
    # 2 of 17 calls lack part of their price; 1 lacks all tokens (the others' mean is assumed)
    "unpriced": "Not fully in the spend: 1 request of gpt-4o-2024-08-06.",
    "rows-skipped": "1 bad-json.",
}


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    folder: Path = tmp_path_factory.mktemp("logs")
    for name, records in LOGS.items():
        write_lines(folder / name, records)
    run = RunDir(folder / "run")

    return analyze([str(folder / name) for name in LOGS], run, AnalyzeOptions())


def named(audit: Audit, code: str) -> Finding:
    found = [one for one in audit.findings if one.code == code]
    assert len(found) == 1, [one.code for one in audit.findings]
    return found[0]


@pytest.mark.parametrize("code", FINDINGS)
def test_a_finding_says_its_figures(audit: Audit, code: str) -> None:
    found = named(audit, code)
    assert found.title == FINDINGS[code][0]
    assert DETAILS[code] in found.detail


@pytest.mark.parametrize("code", FINDINGS)
def test_a_finding_is_said_in_spanish(audit: Audit, code: str) -> None:
    found = named(audit, code)
    with using(Style("es")):
        assert said(found.title).replace("\xa0", " ") == FINDINGS[code][1]
        for text in (found.detail, found.change):
            english = " the | is | are | and | which | calls| of " if text else "$^"
            assert not [w for w in english.split("|") if w in said(text)], said(text)


def test_the_page_in_spanish_holds_the_findings(audit: Audit) -> None:
    with using(Style("es")):
        page = HtmlReporter().render(audit).decode()
        text = TerminalReporter().render(audit).decode()
    for _, spanish in FINDINGS.values():
        assert spanish.split(" de ")[0] in page.replace("\xa0", " ")
    assert "Gasto actual" in text and "Spend now" not in text


def test_cache_reads_that_can_not_be_read_are_priced_as_input_and_that_is_said(
    tmp_path: Path,
) -> None:
    """1,000 input tokens, an unreadable number of them cached: $0.0035 as if none were."""
    record = bare(1, prompt_tokens_details={"cached_tokens": "some"})
    log = write_lines(tmp_path / "log.jsonl", [record])
    audit = analyze([str(log)], RunDir(tmp_path / "run"), AnalyzeOptions())
    found = named(audit, "unreadable-usage")
    assert found.detail == (
        "In how many calls: cache_read (1). They are missing, not 0: no figure includes what they "
        "cost. Input whose cache reads can't be read is priced as if none of it was cached."
    )
    assert str(audit.spend.total.total_usd) == "0.0035"


def doubled() -> dict[str, Any]:
    """Return a call whose total shows that its input of 1,000 excludes the 600 cached tokens."""
    return bare(1, prompt_tokens_details={"cached_tokens": 600}, total_tokens=1_700)


def test_what_is_estimated_what_is_meant_otherwise_and_what_is_lost(tmp_path: Path) -> None:
    """By hand: 1,000 at $2.50, 600 at $1.25 and 100 at $10 per million cost $0.00425."""
    told = chat(2)
    del told["response"]["usage"]
    write_lines(tmp_path / "a.jsonl", [doubled()])
    write_lines(tmp_path / "b.jsonl", [told])
    logs = [str(tmp_path / f"{name}.jsonl") for name in "ab"]
    audit = analyze(logs, RunDir(tmp_path / "run"), AnalyzeOptions())
    counted = analyze(logs[:1], RunDir(tmp_path / "one"), AnalyzeOptions())
    assert str(counted.spend.total.total_usd) == "0.00425"
    estimated = named(audit, "usage-estimated")
    assert estimated.title == "1 request has estimated token counts."
    otherwise = named(audit, "convention-mismatch")
    assert otherwise.title == "The token counts of 1 request do not mean what their source says."
    assert "openai, counted as exclusive" in otherwise.detail
    with using(Style("es")):
        assert said(estimated.title) == "1 petición tiene recuentos de tokens estimados."
        spanish = said(otherwise.title)
        assert "recuentos de tokens de 1 petición" in spanish and "source" not in spanish
