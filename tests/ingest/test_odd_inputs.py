"""Inputs other than plain files of whole records: links, pipes, odd names, torn pages."""

import json
import os
import random
import threading
from pathlib import Path

import polars as pl
import pytest

from costaudit.contracts.audit import EMPTY, OTHER, lost_files
from costaudit.errors import InputError
from costaudit.ingest.files.containers import stream_at
from tests.ingest.conftest import Ingest, chat, write_lines


def test_links_that_lead_nowhere_or_in_circles_lose_themselves_only(
    ingested: Ingest, tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    (logs / "deep").mkdir(parents=True)
    write_lines(logs / "a.jsonl", [chat(n) for n in range(3)])
    write_lines(tmp_path / "elsewhere.jsonl", [chat(n) for n in range(3, 5)])
    (logs / "dangling.jsonl").symlink_to(tmp_path / "gone.jsonl")
    (logs / "loop.jsonl").symlink_to(logs / "loop.jsonl")
    (logs / "deep" / "up").symlink_to(logs)
    (logs / "linked.jsonl").symlink_to(tmp_path / "elsewhere.jsonl")
    _, summary = ingested(logs)
    assert {file.name: file.kept for file in summary.files} == {
        "a.jsonl": 3,
        "dangling.jsonl": 0,
        "linked.jsonl": 2,
        "loop.jsonl": 0,
    }
    assert summary.skip_reasons == {"not-a-log": 2}


def test_a_link_that_was_named_says_what_is_wrong(ingested: Ingest, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").symlink_to(tmp_path / "gone.jsonl")
    with pytest.raises(InputError, match="can't be read: No such file"):
        ingested(tmp_path / "x.jsonl")


def test_a_pipe_is_read_once(ingested: Ingest, tmp_path: Path) -> None:
    log = write_lines(tmp_path / "x.jsonl", [chat(n) for n in range(5)])
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(log.read_bytes()))
    writer.start()
    run, summary = ingested(pipe)
    writer.join()
    assert (summary.kept, len(run.requests())) == (5, 5)


def test_a_table_comes_through_a_pipe(ingested: Ingest, tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text('ts="d"\nmodel="m"\ninput_tokens="i"\noutput_tokens="o"\n')
    rows = "".join(f"{d}/10/2026;gpt-4o;1.200;3\n" for d in range(10, 29))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text(f"d;m;i;o\n{rows}"))
    writer.start()
    run, _ = ingested(pipe, maps=(str(tmp_path / "m.toml"),))
    writer.join()
    assert run.requests()["input_uncached_tokens"].to_list() == [1200] * 19
    assert run.requests()["ts"].null_count() == 0


def test_a_pipe_that_nobody_writes_to_is_refused(ingested: Ingest, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="Nothing is written to the pipe"):
        stream_at(str(tmp_path / "pipe"), is_last=True, wait_ms=50)
    (tmp_path / "logs").mkdir()
    os.mkfifo(tmp_path / "logs" / "pipe")
    write_lines(tmp_path / "logs" / "x.jsonl", [chat(1)])
    _, summary = ingested(tmp_path / "logs")
    assert (summary.kept, summary.skip_reasons) == (1, {"not-a-log": 1})


@pytest.mark.parametrize("redact", ["none", "hash"])
def test_names_that_are_no_text_are_read(ingested: Ingest, tmp_path: Path, redact: str) -> None:
    folder = os.path.join(os.fsencode(tmp_path), b"logs-\xe9")  # noqa: PTH118
    os.mkdir(folder)  # noqa: PTH102
    log = write_lines(tmp_path / "x.jsonl", [chat(n) for n in range(3)])
    Path(os.fsdecode(os.path.join(folder, b"caf\xe9.jsonl"))).write_bytes(log.read_bytes())  # noqa: PTH118
    for _ in range(2):
        run, summary = ingested(os.fsdecode(folder), redact=redact)
    assert (summary.kept, summary.read_bytes) == (3, 0)
    assert [file.name for file in summary.files] == ["caf\\xe9.jsonl"]
    assert run.requests()["source_file"].unique().to_list() == ["caf\\xe9.jsonl"]


def page(records: list[str]) -> str:
    return '{"object": "list", "data": [' + ", ".join(records) + '], "has_more": false}'


@pytest.mark.parametrize(
    "torn", ['{"request": {"model": "gp', '{"request": }', '{"request": {"a": [1']
)
def test_a_torn_element_costs_itself_only(ingested: Ingest, tmp_path: Path, torn: str) -> None:
    whole = [{**chat(n)} for n in range(6)]
    for one in whole:
        one.pop("timestamp"), one.pop("latency_ms")  # so that each starts with its request
    texts = [json.dumps(one) for one in whole]
    (tmp_path / "x.json").write_text(page([*texts[:3], torn, *texts[3:]]))
    _, summary = ingested(tmp_path / "x.json")
    assert (summary.kept, summary.skipped) == (6, 1)
    (tmp_path / "y.json").write_text(page(texts)[:-300])
    _, summary = ingested(tmp_path / "y.json", into="y")
    assert (summary.kept, summary.skipped) == (5, 1)


def span(number: int) -> dict[str, object]:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 5,
    }
    return {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": "chat gpt-4o",
        "startTimeUnixNano": str(1_793_000_000_000_000_000 + number),
        "attributes": [
            {"key": k, "value": {"intValue": v} if isinstance(v, int) else {"stringValue": v}}
            for k, v in attributes.items()
        ],
    }


def test_spans_as_texts_and_junk_among_them_have_a_fate(ingested: Ingest, tmp_path: Path) -> None:
    def batch(spans: object) -> list[object]:
        return [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": spans}]}]

    lines = [
        {"resourceSpans": batch([span(1)])},
        {"resourceSpans": json.dumps(batch([span(2)]))},  # a JSON string
        {"resourceSpans": [{"resource": {}, "scopeSpans": json.dumps([{"spans": [span(3)]}])}]},
        {"resourceSpans": batch(json.dumps([span(4), span(5)]))},
        {"resourceSpans": batch([span(6), 7, "junk", None])},
        {"resourceSpans": [5, None]},
        {"resourceSpans": "no JSON"},
        {"resourceSpans": 3},
        {"resourceSpans": []},
        {"resourceSpans": [{"resource": {}}]},
    ]
    _, summary = ingested(write_lines(tmp_path / "x.jsonl", lines))
    # six spans kept; three junk entries, two bad batches and four lines without spans skipped
    assert (summary.kept, summary.skipped, summary.records) == (6, 9, 15)


def test_documents_beside_logs_are_no_lost_logs(ingested: Ingest, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    write_lines(logs / "a.jsonl", [chat(1)])
    (logs / "README.md").write_text("# Logs\n\n| day | calls |\n|---|---|\n| Monday | 2 |\n")
    (logs / "read.py").write_text("import json\nprint(json.loads(input()))\n")
    (logs / "settings.yaml").write_text("a: 1\nb: [2, 3]\n")
    (logs / "chart.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9)
    (logs / "paper.pdf").write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 9)
    (logs / "blank.jsonl").write_bytes(b"")
    _, summary = ingested(logs)
    kinds = {file.name: file.source for file in summary.files}
    assert kinds.pop("a.jsonl") == "openai_chat" and kinds.pop("blank.jsonl") == EMPTY
    assert set(kinds.values()) == {OTHER} and len(kinds) == 5
    assert lost_files(file.source for file in summary.files) == ""
    (logs / "day.jsonl").write_bytes(bytes(range(256)) * 9)
    _, summary = ingested(logs)
    said = lost_files(file.source for file in summary.files)
    assert said == "1 of 3 files could not be read: the total is a lower bound."
    write_lines(logs / "calls.md", [chat(2)])  # the content decides, not the name
    _, summary = ingested(logs)
    assert summary.kept == 2
    _, summary = ingested(logs / "a.jsonl", logs / "README.md", into="named")
    assert "1 of 2" in lost_files(file.source for file in summary.files)  # was named as a log


@pytest.mark.parametrize("count", [-5_000_000_000, -1, 5_000_000_000_000])
def test_an_impossible_count_costs_itself_only(
    ingested: Ingest, tmp_path: Path, count: int
) -> None:
    wrong = chat(99)
    wrong["response"]["usage"] |= {"prompt_tokens": count, "total_tokens": None}
    run, summary = ingested(write_lines(tmp_path / "x.jsonl", [*map(chat, range(5)), wrong]))
    assert (summary.records, summary.kept) == (6, 6)
    counts = run.requests().filter(pl.col("native_id") == "chatcmpl-000099")
    assert counts["usage_source"].item() != "provider"
    assert run.requests()["input_uncached_tokens"].head(5).to_list() == [100] * 5


def test_zeros_strewn_over_a_file_cost_the_lines_that_they_break(
    ingested: Ingest, tmp_path: Path
) -> None:
    log = write_lines(tmp_path / "x.jsonl", [chat(n, f"Question {n}") for n in range(300)])
    content, chance = bytearray(log.read_bytes()), random.Random(5)
    places = [place for place, byte in enumerate(content) if byte != ord("\n")]
    for place in chance.sample(places, len(places) // 200):
        content[place] = 0
    log.write_bytes(content)
    run, summary = ingested(log)
    assert (summary.records, summary.kept + summary.merged + summary.skipped) == (300, 300)
    assert summary.kept > 30
    found = [*run.requests()["source_offset"], *run.skips()["source_offset"]]
    starts = [0, *(at + 1 for at, byte in enumerate(content[:-1]) if byte == ord("\n"))]
    assert sorted(found) == [at + (content[at] == 0) for at in starts]
