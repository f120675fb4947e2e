"""Whatever a log contains, ingest neither crashes nor miscounts its records."""

import gzip
import json
import os
import random
import shutil
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.contracts.run_dir import RunDir
from costaudit.errors import InputError
from costaudit.ingest.calls.call import BilledUnit, Kept, Record
from costaudit.ingest.calls.json_repair import MOST_NESTED, UnreadableError, parse_lenient
from costaudit.ingest.calls.units import tool_units
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions, IngestSummary
from costaudit.ingest.sources.table import SOURCES
from costaudit.ingest.staging.plan import stagings
from costaudit.progress import SilentProgress
from tests.ingest.conftest import Ingest, chat, write_lines
from tests.ingest.variants import FORMATS, ODD, SAMPLES, Text, lines_of, places_of


def check(run: RunDir, summary: IngestSummary) -> None:
    """Assert that every record is accounted for and that later stages can rely on the tables."""
    assert summary.records == summary.kept + summary.merged + summary.skipped
    requests, skips = run.requests(), run.skips()
    assert (len(requests), len(skips)) == (summary.kept, summary.merged + summary.skipped)
    assert requests["request_id"].is_unique().all()
    for name in (*INPUT_CLASSES, "output_tokens", "reasoning_tokens"):
        assert (requests[name].fill_null(0) >= 0).all()
    assert set(skips["merged_into"].drop_nulls()) <= set(requests["request_id"])


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Return the content with bytes changed, removed, duplicated or inserted at random places."""
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
    """Ingest damaged samples; return how many were still recognised as logs."""
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


def fates(log: Path, run: RunDir, summary: IngestSummary) -> None:
    """Assert that each line of a file has one fate, using offsets found independently of ingest."""
    check(run, summary)
    found = Counter(run.requests()["source_offset"].to_list())
    found.update(run.skips()["source_offset"].to_list())
    if log.suffix == ".csv":
        rows = len(log.read_bytes().splitlines()) - 1
        assert found == Counter(range(1, rows + 1))
        return
    places = places_of(log.read_bytes(), is_sse=log.suffix == ".sse")
    assert sorted(found) == places, log.name
    if not any(state.wrapped for state, _ in stagings(run.path)):
        assert found == Counter(places), log.name


def ingest_variants(sample: Path, seed: str, count: int, folder: Path) -> int:
    """Ingest variants of a sample's records and check their fates; return the number of records."""
    chance = random.Random(seed)
    suffix = ".jsonl" if sample.suffix == ".json" else sample.suffix
    log = folder / f"{sample.stem}{suffix}"
    log.write_bytes(b"\n".join(lines_of(sample, chance, count)) + b"\n")
    mapping = FORMATS / f"{sample.stem}.map.toml"
    maps = (str(mapping),) if mapping.exists() else ()
    run = RunDir(folder / f"run-{sample.stem}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        summary = ingest([str(log)], run, IngestOptions(maps=maps), SilentProgress())
    fates(log, run, summary)
    return summary.records


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda p: p.name)
def test_each_line_of_hostile_variants_has_one_fate(sample: Path, tmp_path: Path) -> None:
    assert ingest_variants(sample, sample.name, 50, tmp_path) >= 50


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_fates_of_many_hostile_lines(tmp_path: Path) -> None:
    """COSTAUDIT_FUZZ_LINES sets the number of lines, COSTAUDIT_FUZZ_SEED the first seed."""
    wanted = int(os.environ.get("COSTAUDIT_FUZZ_LINES", "100000"))
    seed, done = int(os.environ.get("COSTAUDIT_FUZZ_SEED", "0")), 0
    while done < wanted:
        for sample in SAMPLES:
            folder = tmp_path / f"{seed}-{sample.name}"
            folder.mkdir()
            done += ingest_variants(sample, f"{seed} {sample.name}", 1_000, folder)
            shutil.rmtree(folder)
        seed += 1
        print(f"{done:,} lines, each with one fate; the next seed is {seed}", flush=True)


VALUES = [each for each in ODD if not isinstance(each, Text)]
JSON = st.recursive(
    st.sampled_from(VALUES) | st.text(max_size=5) | st.integers(-5, 10**6),
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


@pytest.mark.parametrize(("open_", "close"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_has_one_limit_in_every_version_of_python(open_: bytes, close: bytes) -> None:
    """Python 3.11 decodes about 950 levels, later versions decode thousands."""

    def nested(levels: int) -> bytes:
        return open_ * levels + b"1" + close * levels

    assert parse_lenient(nested(MOST_NESTED))
    wide = b"[" + b"[],{}," * MOST_NESTED + b"1]"
    assert len(parse_lenient(wide)) == 2 * MOST_NESTED + 1
    for levels in (MOST_NESTED + 1, 5_000, 50_000):
        with pytest.raises(UnreadableError) as caught:
            parse_lenient(nested(levels))
        assert caught.value.skip.reason == "nested-too-deep"


@pytest.mark.parametrize("odd", ["[]", "{}", "null", "1", '["web_search_call"]'])
def test_a_called_tool_of_an_odd_type_is_no_tool(odd: str) -> None:
    output = f'[{{"type": {odd}, "id": "x_call"}}, {{"type": "file_search_call"}}, {odd}]'
    assert tool_units(output.encode()) == (BilledUnit("file_search", 1.0),)
