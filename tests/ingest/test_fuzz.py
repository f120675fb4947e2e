"""Whatever a log holds, ingest neither crashes nor loses count."""

import gzip
import json
import random
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.contracts.run_dir import RunDir
from costaudit.errors import InputError
from costaudit.ingest.calls.call import Kept, Record
from costaudit.ingest.calls.json_repair import UnreadableError
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions, IngestSummary
from costaudit.ingest.sources.table import SOURCES
from costaudit.progress import SilentProgress
from tests.ingest.conftest import Ingest, chat, write_lines

FORMATS = Path(__file__).parents[2] / "sample_logs" / "formats"
SAMPLES = sorted(p for p in FORMATS.iterdir() if p.suffix in (".json", ".jsonl", ".csv", ".sse"))
ODD: tuple[Any, ...] = (
    None, True, -1, 10**30, 1.5, float("nan"), "", "x", "12", "\ud800", [], {}, [[]], [None],
    {"type": 3}, ["text"], {"role": 1}, {"content": {"text": []}}, "{", '{"a": [1', "9" * 5000,
)  # fmt: skip


def check(run: RunDir, summary: IngestSummary) -> None:
    """Hold the law of conservation and the shapes that others rely on."""
    assert summary.records == summary.kept + summary.merged + summary.skipped
    requests, skips = run.requests(), run.skips()
    assert (len(requests), len(skips)) == (summary.kept, summary.merged + summary.skipped)
    assert requests["request_id"].is_unique().all()
    for name in (*INPUT_CLASSES, "output_tokens", "reasoning_tokens"):
        assert (requests[name].fill_null(0) >= 0).all()
    assert set(skips["merged_into"].drop_nulls()) <= set(requests["request_id"])


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Flip, cut out, double or insert bytes at random places."""
    data = bytearray(content)
    for _ in range(chance.choice([1, 3, 20])):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(5)
        if kind == 0 and data:
            data[at % len(data)] = chance.randrange(256)
        elif kind == 1:
            del data[at : at + chance.randrange(200)]
        elif kind == 2:
            data[at:at] = data[at : at + chance.randrange(400)]
        elif kind == 3:
            data[at:at] = chance.choice(
                [b'"', b"{", b"}", b"[", b"\n", b"\\", b"\0", b"\xff", b","]
            )
        else:
            data[at:] = b""
    return bytes(data)


def fuzz(folder: Path, seed: int, rounds: int) -> int:
    """Ingest damaged samples; gives how many were still logs."""
    chance, good = random.Random(seed), 0
    for number in range(rounds):
        sample = chance.choice(SAMPLES)
        content = damaged(sample.read_bytes(), chance)
        if chance.random() < 0.1:
            content = damaged(gzip.compress(content), chance)
        path, run = folder / f"{number}{sample.suffix}", RunDir(folder / f"run-{number}")
        path.write_bytes(content)
        try:
            summary = ingest([str(path)], run, IngestOptions(), SilentProgress())
        except InputError as error:
            assert error.hint, (seed, number)
            continue
        check(run, summary)
        good += 1
    return good


def test_damaged_samples_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    assert fuzz(tmp_path, seed=3, rounds=60) > 10


@pytest.mark.slow
def test_damaged_samples_for_a_long_time(tmp_path: Path) -> None:
    for seed in range(100, 130):
        fuzz(tmp_path / str(seed), seed, rounds=200)


def mutated(value: Any, chance: random.Random) -> Any:
    """Replace parts of a decoded record by odd values."""
    if chance.random() < 0.08:
        return chance.choice(ODD)
    if isinstance(value, dict):
        kept = {k: mutated(v, chance) for k, v in value.items() if chance.random() > 0.04}
        return kept
    if isinstance(value, list):
        return [mutated(item, chance) for item in value]
    return value


def records_of(sample: Path) -> list[Any]:
    text = sample.read_text("utf-8").replace("data: [DONE]", "").replace("data: ", "")
    if sample.suffix == ".json":
        return [json.loads(text.replace(",\n]", "]"))]
    return [json.loads(line) for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.suffix != ".csv"], ids=lambda p: p.name)
def test_odd_values_in_every_field_keep_the_count(
    sample: Path, tmp_path: Path, ingested: Ingest
) -> None:
    chance = random.Random(sample.name)
    records = [mutated(r, chance) for _ in range(25) for r in records_of(sample)]
    log = write_lines(tmp_path / "x.jsonl", [json.dumps(r) for r in [*records, chat(1)]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run, summary = ingested(log)
    check(run, summary)


JSON = st.recursive(
    st.sampled_from(ODD) | st.text(max_size=5) | st.integers(-5, 10**6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.sampled_from(SOURCES), st.dictionaries(st.text(max_size=8), JSON, max_size=6), JSON)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_no_source_crashes_on_any_record(source: Any, record: dict[str, Any], body: Any) -> None:
    whole = {**record, "request": body, "response": body, "message": body, "payload": body}
    data = json.dumps(whole, ensure_ascii=True).encode()
    reader = source()
    settled = []
    reader.detect({key: value for key, value in whole.items() if isinstance(key, str)})
    try:
        settled.extend(reader.parse(Record(0, 0, data)))
    except UnreadableError as error:
        settled.append(((0, 0), error.skip))
    settled.extend(reader.finish())
    assert len(settled) == 1
    assert (settled[0].key if isinstance(settled[0], Kept) else settled[0][0]) == (0, 0)


def test_nested_bombs_long_lines_and_double_keys(tmp_path: Path, ingested: Ingest) -> None:
    deep = '{"request": {"messages": ' + "[" * 10_000 + "]" * 10_000 + "}}"
    deep_content = json.dumps(chat(2)).replace('"Where is my parcel?"', "[" * 10_000 + "]" * 10_000)
    long_line = json.dumps(chat(3, "word " * 10_000_000))
    twice = json.dumps(chat(4)).replace('"model": "gpt-4o",', '"model": "a", "model": "gpt-4o",')
    log = write_lines(tmp_path / "x.jsonl", [chat(1), deep, deep_content, long_line, twice])
    run, summary = ingested(log)
    check(run, summary)
    assert summary.records == 5
    assert set(run.requests()["native_id"]) >= {f"chatcmpl-00000{n}" for n in (1, 3, 4)}
