"""Mappings: which files they apply to, what they can express, and how typos are reported."""

import json
from pathlib import Path

import pytest

from costaudit.errors import InputError, UsageError
from tests.ingest.conftest import Ingest, chat, write_lines

FIELDS = 'ts = "when"\nmodel = "llm"\nprompt = "q"\ninput_tokens = "in"\noutput_tokens = "out"\n'
TABLE = "when,llm,q,in,out\n" + "".join(
    f"2026-11-02T09:00:{n:02d}Z,gpt-4o,Question {n},1000,10\n" for n in range(5)
)


def folder_with(tmp_path: Path, *, fields: str = FIELDS) -> Path:
    (tmp_path / "logs" / "exports").mkdir(parents=True)
    write_lines(tmp_path / "logs" / "chat.jsonl", [chat(n) for n in range(3)])
    (tmp_path / "logs" / "exports" / "own.csv").write_text(TABLE)
    (tmp_path / "map.toml").write_text(fields)
    return tmp_path / "logs"


@pytest.mark.parametrize("pattern", ["", "exports/*.csv=", "*.csv=", "own.csv="])
def test_a_map_is_no_filter_on_other_files(ingested: Ingest, tmp_path: Path, pattern: str) -> None:
    logs = folder_with(tmp_path)
    run, summary = ingested(logs, maps=(f"{pattern}{tmp_path / 'map.toml'}",))
    assert {file.name: (file.source, file.kept) for file in summary.files} == {
        "chat.jsonl": ("openai_chat", 3),
        "exports/own.csv": ("mapped", 5),
    }
    assert run.requests()["input_uncached_tokens"].sum() == 3 * 100 + 5 * 1000


def test_a_map_can_name_its_files_itself(ingested: Ingest, tmp_path: Path) -> None:
    logs = folder_with(tmp_path, fields=f'[files]\nmatch = "exports/*"\n[fields]\n{FIELDS}')
    (logs / "second.csv").write_text("t,m,i,o\n2026-11-02T10:00:00Z,gpt-4o,7,1\n")
    second = 'ts = "t"\nmodel = "m"\ninput_tokens = "i"\noutput_tokens = "o"\n'
    (tmp_path / "second.toml").write_text(second)
    maps = (str(tmp_path / "map.toml"), str(tmp_path / "second.toml"))
    _, summary = ingested(logs, maps=maps)
    assert {file.name: (file.source, file.kept) for file in summary.files} == {
        "chat.jsonl": ("openai_chat", 3),
        "exports/own.csv": ("mapped", 5),
        "second.csv": ("mapped", 1),
    }


def test_a_typo_names_the_columns_there_are(ingested: Ingest, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(TABLE)
    (tmp_path / "map.toml").write_text(FIELDS.replace('"when"', '"whenn"'))
    with pytest.raises(InputError, match=r"columns that own\.csv does not have: whenn") as caught:
        ingested(tmp_path / "own.csv", maps=(str(tmp_path / "map.toml"),))
    assert caught.value.hint == "Did you mean when? It has: when, llm, q, in, out."


def test_a_typo_in_a_map_of_objects_names_their_paths(ingested: Ingest, tmp_path: Path) -> None:
    records = [
        {"meta": {"at": f"2026-11-02T09:0{n}:00Z"}, "llm": "gpt-4o", "q": "Hi", "n": {"in": 5}}
        for n in range(3)
    ]
    log = write_lines(tmp_path / "own.jsonl", records)
    fields = {"ts": "meta.ta", "model": "llm", "prompt": "q", "input_tokens": "n.in"}
    (tmp_path / "map.json").write_text(json.dumps(fields))
    with pytest.raises(InputError, match=r"does not have: meta\.ta") as caught:
        ingested(log, maps=(str(tmp_path / "map.json"),))
    assert "Did you mean meta.at? It has: meta.at, llm, q, n.in." in caught.value.hint
    # a field that only some records have is not a typo
    (tmp_path / "map.json").write_text(json.dumps({**fields, "ts": "meta.at", "error": "fault"}))
    _, summary = ingested(log, maps=(str(tmp_path / "map.json"),))
    assert summary.kept == 3


def test_a_map_that_fits_none_of_its_files_is_an_error(ingested: Ingest, tmp_path: Path) -> None:
    logs = folder_with(tmp_path, fields=FIELDS.replace('"in"', '"inn"'))
    with pytest.raises(InputError, match="does not have: inn"):
        ingested(logs, maps=(f"*.csv={tmp_path / 'map.toml'}",))
    with pytest.raises(UsageError, match=r"for no file: none of the files match \*\.tsv"):
        ingested(logs, maps=(f"*.tsv={tmp_path / 'map.toml'}",))


def test_a_misfit_beside_a_fit_is_a_lost_file(ingested: Ingest, tmp_path: Path) -> None:
    logs = folder_with(tmp_path)
    (logs / "exports" / "other.csv").write_text("a,b,c\n1,2,3\n")
    _, summary = ingested(logs, maps=(f"*.csv={tmp_path / 'map.toml'}",))
    assert (summary.kept, summary.skip_reasons) == (8, {"not-a-log": 1})


def test_a_mapped_file_joins_a_run_that_stays_as_it_is(ingested: Ingest, tmp_path: Path) -> None:
    logs = folder_with(tmp_path)
    ingested(logs / "chat.jsonl")
    (before,) = (tmp_path / "run" / "staging").glob("*/span-*.json")
    stamp = before.stat().st_mtime_ns
    maps = (f"*.csv={tmp_path / 'map.toml'}",)
    _, summary = ingested(logs / "chat.jsonl", logs / "exports" / "own.csv", maps=maps)
    assert before.stat().st_mtime_ns == stamp
    assert (summary.kept, summary.read_bytes) == (8, len(TABLE))
    (tmp_path / "map.toml").write_text(FIELDS.replace('"in"', '"out"'))
    run, summary = ingested(logs / "chat.jsonl", logs / "exports" / "own.csv", maps=maps)
    assert (before.stat().st_mtime_ns, summary.read_bytes) == (stamp, len(TABLE))
    assert run.requests()["input_uncached_tokens"].sum() == 3 * 100 + 5 * 10


def test_writes_by_lifetime_a_boolean_for_the_input_and_units(
    ingested: Ingest, tmp_path: Path
) -> None:
    (tmp_path / "x.csv").write_text(
        "model,in,out,read,written,ttl,inclusive,searches,day,clock\n"
        "claude-sonnet-4-5,100,5,60,20,5m,yes,2,28/10/2026,14:05\n"
        "claude-sonnet-4-5,20,5,60,20,1h,no,,03/10/2026,9:30\n"
        "claude-sonnet-4-5,20,5,many,20,1h,no,,03/10/2026,9:30\n"
    )
    (tmp_path / "m.toml").write_text(
        'model="model"\ninput_tokens="in"\noutput_tokens="out"\ncache_read_tokens="read"\n'
        'cache_write_other_tokens="written"\ncache_write_ttl="ttl"\ndate="day"\ntime="clock"\n'
        'input_includes_cache="inclusive"\nweb_search="searches"\n'
    )
    run, _ = ingested(tmp_path / "x.csv", maps=(str(tmp_path / "m.toml"),))
    rows = run.requests().sort("source_offset")
    names = ("input_uncached_tokens", "cache_read_tokens", "cache_write_5m_tokens",
             "cache_write_1h_tokens")  # fmt: skip
    # 100 includes the 60 and 20; 20 excludes them; an unreadable count is missing, not 0
    assert rows.select(names).rows()[:2] == [(20, 60, 20, 0), (20, 60, 0, 20)]
    assert rows["usage_source"].to_list()[2] != "provider"
    assert [unit["quantity"] for unit in rows["billed_units"][0]] == [2.0]
    assert rows["ts"].dt.to_string("%Y-%m-%d %H:%M").to_list()[:2] == [
        "2026-10-28 14:05",
        "2026-10-03 09:30",
    ]


def test_a_table_that_does_not_say_what_its_input_holds_is_undecided(
    tmp_path: Path, ingested: Ingest
) -> None:
    rows = ["ts,model,in,cached,out", *(f"2026-11-02T09:0{n}:00Z,gpt-4o,3000,2000,9" for n in "12")]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    mapping = tmp_path / "m.toml"
    fields = 'ts="ts"\nmodel="model"\ninput_tokens="in"\ncache_read_tokens="cached"\n'
    for more, expected in (("", "undecided"), ('convention="=openai"\n', "openai")):
        mapping.write_text(f'{fields}output_tokens="out"\n{more}')
        run, _ = ingested(tmp_path / "t.csv", maps=(str(mapping),), into=f"run{len(more)}")
        assert run.requests()["input_uncached_tokens"].to_list() == [1_000, 1_000]
        assert all(expected in each for each in run.requests()["usage_convention"])
