"""`costaudit doctor` shows how a log is read and what it lacks, and leaves no files behind."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import records, write_log
from tests.conftest import Said

Run = Callable[..., Said]


def test_source_evidence_and_gaps(costaudit: Run, tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl")
    said = costaudit("doctor", "log.jsonl", "--quiet")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("8 records: 8 calls kept, 0 merged, 0 skipped; every check holds.")
    assert "openai_chat" in said.out and "8 of the first 8 records have" in said.out
    gaps = said.out[said.out.index("What this log can't tell") :]
    assert "No costs" in gaps and "whether prices and bill agree." in gaps
    assert "No prompts" not in gaps and "No latencies" not in gaps
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def test_what_fails_is_counted(costaudit: Run, tmp_path: Path) -> None:
    made = records()
    made[3]["response"]["usage"]["total_tokens"] = 999  # 100 and 20 are 120
    made[5].pop("timestamp")
    write_log(tmp_path / "log.jsonl", made)
    found = json.loads(costaudit("doctor", "log.jsonl", "--quiet", "--format", "json").out)
    failing = {one["name"]: one["failing"] for one in found["checks"] if one["failing"]}
    assert failing == {"the parts add up to the total": 1, "there is a time": 1}
    assert found["shares"]["times"] == 7 / 8
    said = costaudit("doctor", "log.jsonl", "--quiet").out
    assert "2 checks fail for some calls" in said
    write_log(tmp_path / "one.jsonl", made[3:4])
    said = costaudit("doctor", "one.jsonl", "--quiet").out
    assert said.startswith("1 record: 1 call kept, 0 merged, 0 skipped; 1 check fails for some")


def test_broken_lines_are_reasons_and_no_failure(costaudit: Run, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl")
    with log.open("a") as file:
        file.write('{"request": {"model"\n')
    said = costaudit("doctor", "log.jsonl", "--quiet")
    assert said.code == 0
    assert "9 records: 8 calls kept, 0 merged, 1 skipped" in said.out
    assert "Records that were left out" in said.out


def test_what_is_no_log_says_what_to_try(costaudit: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Dear diary,\n")
    said = costaudit("doctor", "notes.txt", "--quiet")
    assert said.code == 2 and "--source" in said.err and said.out == ""


def fields_of(said: Said) -> dict[str, dict[str, Any]]:
    (found,) = json.loads(said.out)["fields"].values()
    return {one["path"]: one for one in found["paths"]}


def test_every_field_is_shown_by_its_shape_and_by_what_it_is_read_as(
    costaudit: Run, tmp_path: Path
) -> None:
    made = records()
    for number, one in enumerate(made):
        one["secret"] = f"Kim-{number}"
        one["by"] = {f"kim{number}@example.com": 1}
    write_log(tmp_path / "log.jsonl", made)
    said = costaudit("doctor", "log.jsonl", "--quiet", "--format", "json")
    fields = fields_of(said)
    read = {path: one["read_as"] for path, one in fields.items()}
    assert read["response.usage.prompt_tokens"] == ["input"]
    assert read["response.usage.completion_tokens"] == ["output"]
    assert read["timestamp"] == ["time"]
    assert "model" in read["response.model"]
    assert read["request.messages[].content"] == ["prompt"]
    assert read["response.choices[].message.content"] == ["answer"]
    assert read["secret"] == [] and fields["secret"]["shape"] == "xxx-9"
    assert fields["by.{key}"]["records"] == 8
    for word in ("Kim", "kim", "parcel", "gift"):
        assert word not in said.out


def test_a_map_is_drafted_for_what_nobody_knows(costaudit: Run, tmp_path: Path) -> None:
    rows = [
        f"{day}/10/2026 14:00;gpt-4o;Frage {day};Antwort {day};1.200;30;0,0033"
        for day in range(10, 29)
    ]
    header = "Fecha;Modelo;Pregunta;Respuesta;Tokens entrada;Tokens salida;Coste"
    (tmp_path / "own.csv").write_text("\n".join([header, *rows, ""]))
    said = costaudit("doctor", "own.csv", "--quiet", "--draft-map", "own.toml")
    assert said.code == 2 and "--map" in said.err
    assert "no record looks like a call of a model" in said.err
    assert "Draft of a --map file for own.csv: check it" in said.out
    said = costaudit("doctor", "own.csv", "--map", "own.toml", "--quiet")
    assert said.out.startswith("19 records: 19 calls kept, 0 merged, 0 skipped; every check holds.")
    assert "day first" in said.out and "decimal comma" in said.out
    said = costaudit("spend", "own.csv", "--map", "own.toml", "--quiet")
    # 19 calls with 1,200 and 30 tokens at $2.50 and $10.00 per million, as logged: 19 x 0.0033
    assert said.out.startswith("$0.06 for 19 requests")


def test_a_map_is_drafted_for_nested_records(costaudit: Run, tmp_path: Path) -> None:
    records = [
        {
            "meta": {"createdAt": f"2026-11-02T09:0{n}:00Z", "engine": "gpt-4o"},
            "turns": [{"role": "user", "content": "Hi"}],
            "reply": "Hello",
            "tally": {"promptTokens": 10, "completionTokens": 2},
        }
        for n in range(3)
    ]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    assert costaudit("doctor", "own.jsonl", "--quiet", "--draft-map", "own.toml").code == 2
    said = costaudit("doctor", "own.jsonl", "--map", "own.toml", "--quiet", "--format", "json")
    found = json.loads(said.out)
    assert found["summary"]["kept"] == 3
    assert {name: found["shares"][name] for name in ("prompts", "answers", "times")} == {
        "prompts": 1.0,
        "answers": 1.0,
        "times": 1.0,
    }


def test_a_run_is_told_of_as_it_was_read(costaudit: Run, tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl")
    assert costaudit("ingest", "log.jsonl", "--quiet", "--out", "run").code == 0
    log = costaudit("doctor", "log.jsonl", "--quiet", "--format", "json")
    run = costaudit("doctor", "run", "--quiet", "--format", "json")
    of_log, of_run = json.loads(log.out), json.loads(run.out)
    assert of_run["fields"] == of_log["fields"] and of_run["checks"] == of_log["checks"]
    (tmp_path / "log.jsonl").unlink()
    run = costaudit("doctor", "run", "--quiet")
    assert run.out.startswith("8 records: 8 calls kept, 0 merged, 0 skipped; every check holds.")


SPANISH_ROWS = [
    f"{day}/10/2026 14:00;gpt-4o;1.2{day};30;0,00{day}" for day in range(10, 29)
]  # fmt: skip


@pytest.mark.parametrize(
    ("lang", "words"),
    [("en", ("day first", "decimal comma")), ("es", ("primero el día", "coma decimal"))],
)
def test_how_the_columns_of_a_table_are_written_is_said(
    lang: str, words: tuple[str, ...], costaudit: Run, tmp_path: Path
) -> None:
    header = "Fecha;Modelo;Entrada;Salida;Coste"
    (tmp_path / "own.csv").write_text("\n".join([header, *SPANISH_ROWS, ""]))
    names = {"ts": "Fecha", "model": "Modelo", "input_tokens": "Entrada",
             "output_tokens": "Salida", "cost": "Coste"}  # fmt: skip
    (tmp_path / "own.json").write_text(json.dumps(names))
    said = costaudit("doctor", "own.csv", "--map", "own.json", "--quiet", "--lang", lang)
    text = " ".join(said.out.replace("\xa0", " ").split())
    assert said.code == 0, said.err
    assert all(word in text for word in words), text


UNKNOWN: dict[str, Any] = {
    "nested": [{"meta": {"at": "2026-11-02T09:00:00Z", "engine": "gpt-4o"},
                "tally": {"tokIn": 10, "tokOut": 2}}],
    "flat": [{"when": "2026-11-02T09:00:00Z", "mdl": "gpt-4o", "in_tok": 10, "out_tok": 2}],
    "deep": [{"job": {"llm": {"engine": "gpt-4o", "counts": {"tokIn": 10}}}, "host": "a"}],
}  # fmt: skip


@pytest.mark.parametrize("what", UNKNOWN)
@pytest.mark.parametrize(
    ("lang", "title"),
    [
        ("en", "Draft of a --map file for own.jsonl"),
        ("es", "Borrador de un archivo --map para own.jsonl"),
    ],
)
def test_an_unknown_format_is_shown_by_its_paths_with_a_map_to_start_from(
    what: str, lang: str, title: str, costaudit: Run, tmp_path: Path
) -> None:
    lines = [json.dumps(one) for one in UNKNOWN[what] * 3]
    (tmp_path / "own.jsonl").write_text("\n".join(lines))
    said = costaudit("doctor", "own.jsonl", "--quiet", "--lang", lang)
    text = " ".join((said.out + said.err).replace("\xa0", " ").split())
    assert said.code == 2
    assert title in text and "--map" in text
    shown = {"nested": "tally.tokIn", "flat": "in_tok", "deep": "job.llm.counts.tokIn"}
    assert shown[what] in text
