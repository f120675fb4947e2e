"""Help, width and encodings of all verbs on a terminal."""

import inspect
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import jsonschema
import msgspec
import pytest
from rich.cells import cell_len

from costaudit.cli.analyze import Asked, analyze
from costaudit.cli.examples import EXAMPLES
from costaudit.cli.main import app
from costaudit.contracts.audit import audit_schema, encode_audit, write_audit
from costaudit.report.tables.semantic import sweep_tables
from costaudit.report.tables.spend import spend_tables
from costaudit.report.tables.table import Screen, Table, render_tables
from costaudit.report.tables.topics import cluster_tables
from tests.cli.conftest import write_log
from tests.conftest import Said
from tests.report.hostile_audit import hostile_audit
from tests.report.sample_audit import AUDIT, NO_PROMPTS

VERBS = [str(command.name) for command in app.registered_commands]


@pytest.mark.parametrize("verb", VERBS)
def test_every_help_has_two_examples_and_fits(costaudit: Callable[..., Said], verb: str) -> None:
    short, long = costaudit(verb, "-h"), costaudit(verb, "--help")
    assert (short.code, short.out) == (0, long.out)
    examples = [line for line in long.out.splitlines() if line.startswith("    costaudit ")]
    assert len(examples) == 2, verb
    assert max(map(len, long.out.splitlines())) <= 80
    for example in examples:
        for option in re.findall(r"(?<=\s)--[a-z-]+", example):
            assert option in long.out, example


def test_examples_are_of_verbs_that_exist() -> None:
    assert set(EXAMPLES) == set(VERBS)


@pytest.mark.parametrize("width", [40, 80, 100])
def test_tables_fit_without_a_cut_word(width: int) -> None:
    assert AUDIT.semantic and AUDIT.prefix
    tables = [
        *spend_tables(AUDIT.spend),
        *sweep_tables(AUDIT.semantic),
        *cluster_tables(AUDIT.semantic),
    ]
    text = render_tables(tables, "terminal", screen=Screen(width)).decode()
    assert max(map(cell_len, text.splitlines())) <= width
    assert "…" not in text
    assert "--all shows every row" in text  # thirty days


def test_a_hostile_table_stays_in_its_columns() -> None:
    audit = hostile_audit()
    assert audit.semantic
    tables = [*spend_tables(audit.spend), *cluster_tables(audit.semantic)]
    text = render_tables(tables, "terminal", screen=Screen(80)).decode()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b]", text)
    assert max(map(cell_len, text.splitlines())) <= 80


def test_the_first_ten_rows_or_all() -> None:
    table = Table("rows", ("name", "n"), tuple((f"row {n}", str(n)) for n in range(30)))
    few = render_tables([table], "terminal").decode()
    every = render_tables([table], "terminal", screen=Screen(every_row=True)).decode()
    assert few.count("row ") - few.count("row;") == 10 and "10 of 30 rows" in few
    assert every.count("row ") == 30
    assert render_tables([table], "csv").decode().count("\n") == 31


def test_wide_characters_count_twice() -> None:
    table = Table("t", ("a", "b"), (("漢字" * 30, "1"),))
    text = render_tables([table], "terminal", screen=Screen(40)).decode()
    assert max(map(cell_len, text.splitlines())) <= 40
    assert text.replace("\n", "").replace(" ", "").count("漢字") == 30


def test_the_schema_holds_for_every_audit(costaudit: Callable[..., Said]) -> None:
    schema = msgspec.json.decode(costaudit("schema").out)
    assert schema == msgspec.json.decode(audit_schema()) and schema["version"] == "1"
    for audit in (AUDIT, NO_PROMPTS, hostile_audit()):
        jsonschema.validate(msgspec.json.decode(encode_audit(audit)), schema)
    broken = msgspec.json.decode(encode_audit(AUDIT))
    broken["verdict"]["grade"] = "guessed"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)


def test_an_audit_of_an_older_format_says_what_to_do(
    costaudit: Callable[..., Said], tmp_path: Path
) -> None:
    told = msgspec.json.decode(encode_audit(AUDIT))
    (tmp_path / "old.json").write_bytes(msgspec.json.encode(told | {"schema_version": "0"}))
    said = costaudit("report", "old.json")
    assert said.code == 2 and "another format" in said.err and "costaudit analyze" in said.err


def test_the_promises_have_a_verb_of_their_own(
    costaudit: Callable[..., Said], tmp_path: Path
) -> None:
    write_audit(AUDIT, tmp_path / "audit.json")
    said = costaudit("claims", "audit.json")
    assert said.code == 0 and "52 %" in said.out and "fails" in said.out
    page = costaudit("report", "audit.json", "--format", "html").out
    visible = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert "52 % of queries" not in visible and "article" not in visible


def test_the_report_of_a_part_is_computed_from_the_run(
    costaudit: Callable[..., Said], tmp_path: Path
) -> None:
    write_log(tmp_path / "log.jsonl")
    assert costaudit("ingest", "log.jsonl", "--out", "run", "--quiet").code == 0
    (tmp_path / "log.jsonl").unlink()  # the log isn't read again
    whole = costaudit("spend", "run", "--format", "json", "--quiet")
    model = msgspec.json.decode(whole.out)["by"]["model"][0]["group"]
    part = costaudit("report", "run", "--where", f"model={model}", "--format", "json", "--quiet")
    assert part.code == 0, part.err
    audit = msgspec.json.decode(part.out)
    assert audit["quality"]["rows"] == audit["quality"]["kept"] + audit["quality"]["skipped"]
    none = costaudit("report", "run", "--where", "model=nothing-like-it", "--quiet")
    assert none.code == 4 and "Traceback" not in none.err
    wrong = costaudit("report", "run", "--where", "colour=red", "--quiet")
    assert wrong.code == 2


def test_spanish_and_euros_on_the_command_line(
    costaudit: Callable[..., Said], tmp_path: Path
) -> None:
    write_audit(AUDIT, tmp_path / "audit.json")
    said = costaudit("report", "audit.json", "--lang", "es", "--currency", "EUR", "--rate", "0.92")
    assert said.code == 0 and "37.904 €" in said.out.replace("\xa0", " ")
    assert costaudit("report", "audit.json", "--currency", "EUR").code == 2


def test_an_audit_is_asked_for_by_the_options_of_analyze() -> None:
    """The library accepts settings with these names, and the command line's defaults."""
    given = {name: one.default for name, one in inspect.signature(analyze).parameters.items()}
    named = {one.name: one.default for one in fields(Asked)}
    of_the_command_line = {"logs", "out", "format", "quiet", "no_color", "config"}
    assert named == {name: given[name] for name in given if name not in of_the_command_line}
