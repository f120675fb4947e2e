"""A count that can't be read is never 0: it is known from elsewhere, missing, or skipped."""

import csv
import io
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

from costaudit.contracts.requests import TOKEN_CLASSES
from tests.ingest.conftest import Ingest
from tests.ingest.variants import (
    FORMATS,
    SAMPLES,
    Text,
    at,
    encoded,
    number_leaves,
    records_of,
    replaced,
)

COUNTED = [sample for sample in SAMPLES if sample.stem != "daily_totals"]
WRONG: tuple[Any, ...] = (
    [2000], "about two thousand", 2000.5, -5e9, {"a": "x"}, Text("1e400"), Text("-Infinity"), True,
)  # fmt: skip
SIMILAR = 0.1  # a count that is known from elsewhere differs by less: another tokenizer's
WRONG_CELLS = ("about two thousand", "2000.5", "-5e9", "1e400", "[2000]", "{}")


class Told(NamedTuple):
    """What a file comes to."""

    tokens: int
    doubts: tuple[int, int, int]  # calls without counts, calls without cache detail, skipped


def told(run: Any) -> dict[str, Told]:
    """Add up the tokens and the doubts of each file of a run."""
    source, convention = pl.col("usage_source"), pl.col("usage_convention")
    calls = run.requests().group_by("source_file").agg(
        pl.sum_horizontal(TOKEN_CLASSES).sum().alias("tokens"),
        source.is_in(["missing", "estimated"]).sum().alias("uncounted"),
        convention.str.contains("without cache detail").sum().alias("undetailed"),
    )  # fmt: skip
    skipped = run.skips().filter(fate="skipped").group_by("source_file").len("skipped")
    table = calls.join(skipped, on="source_file", how="full", coalesce=True).fill_null(0)
    return {name: Told(tokens, tuple(doubts)) for name, tokens, *doubts in table.iter_rows()}


def write(path: Path, sample: Path, records: Sequence[Any]) -> None:
    if sample.suffix != ".csv":
        start = "data: " if sample.suffix == ".sse" else ""
        path.write_text("".join(f"{start}{encoded(record)}\n" for record in records), "utf-8")
        return
    separator = ";" if sample.read_text("utf-8").partition("\n")[0].count(";") > 2 else ","
    text = io.StringIO()
    table = csv.DictWriter(text, list(records[0]), delimiter=separator)
    table.writeheader()
    table.writerows(records)
    path.write_text(text.getvalue(), "utf-8")


class Change(NamedTuple):
    """Records with one number changed."""

    what: str
    number: int
    records: list[Any]


def variants(sample: Path, count: int | None, seed: str) -> Iterator[Change]:
    """Yield records with something in place of a number: `count` chosen by `seed`, or all."""
    records = records_of(sample)
    places = [(n, path) for n, record in enumerate(records) for path in number_leaves(record)]
    wrong = WRONG_CELLS if sample.suffix == ".csv" else WRONG
    changes = [(n, path, value) for n, path in places for value in wrong]
    if count is not None:
        changes = random.Random(seed).sample(changes, min(count, len(changes)))
    for n, path, value in changes:
        changed = [*records[:n], replaced(records[n], path, value), *records[n + 1 :]]
        old = int(at(records[n], path))
        yield Change(f"{'.'.join(map(str, path))} of {n}: {old} is {value!r:.40}", old, changed)


def check(ingested: Ingest, folder: Path, sample: Path, count: int | None, seed: str = "") -> None:
    """Hold that no change of a number makes tokens less without a doubt that is shown."""
    logs = folder / sample.stem
    logs.mkdir()
    suffix = ".jsonl" if sample.suffix == ".json" else sample.suffix
    write(logs / f"whole{suffix}", sample, records_of(sample))
    done = {}
    for number, change in enumerate(variants(sample, count, seed or sample.name)):
        done[f"{number}{suffix}"] = change
        write(logs / f"{number}{suffix}", sample, change.records)
    mapping = FORMATS / f"{sample.stem}.map.toml"
    maps = (str(mapping),) if mapping.exists() else ()
    run, _ = ingested(logs, into=f"run-{sample.stem}", dedupe=False, maps=maps)
    found = told(run)
    whole = found[f"whole{suffix}"]
    lost = [
        (change.what, found[name], whole)
        for name, change in done.items()
        if whole.tokens - found[name].tokens > max(change.number * SIMILAR, 2)
        and all(now <= before for now, before in zip(found[name].doubts, whole.doubts, strict=True))
    ]
    assert not lost


@pytest.mark.parametrize("sample", COUNTED, ids=lambda p: p.name)
def test_a_count_that_can_not_be_read_is_not_0(
    ingested: Ingest, tmp_path: Path, sample: Path
) -> None:
    check(ingested, tmp_path, sample, 6)


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("sample", COUNTED, ids=lambda p: p.name)
def test_no_count_that_can_not_be_read_is_0(ingested: Ingest, tmp_path: Path, sample: Path) -> None:
    check(ingested, tmp_path, sample, None)
