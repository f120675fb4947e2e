"""Data quality: what was read per file, and what can't be told."""

from datetime import timedelta

import polars as pl
import pytest

from costaudit.contracts.manifest import ManifestInput
from costaudit.contracts.requests import SKIPS
from costaudit.costing.quality import data_quality
from tests.costing.logs import NOON, log

SKIPPED = {
    "source_file": "log.jsonl", "source_offset": 9, "fate": "skipped", "reason": "bad-json",
    "detail": "", "merged_into": None,
}  # fmt: skip
MERGED = {**SKIPPED, "fate": "merged", "reason": "duplicate-id", "merged_into": "r0"}
LOST = {**SKIPPED, "source_file": "broken.bin", "source_offset": -1, "reason": "not-a-log"}
NO_SKIPS = pl.DataFrame(schema=SKIPS)
INPUTS = [ManifestInput("log.jsonl", "openai", "choices", 120, rows=0, kept=0, merged=0, skipped=0)]


def texts(*rows: tuple[bool, bool], status: str = "ok") -> pl.DataFrame:
    """Return whether a log has text of prompts and of answers."""
    frame = pl.DataFrame(rows, schema={"prompt": pl.Boolean, "answer": pl.Boolean}, orient="row")
    return frame.with_columns(status=pl.lit(status))


def test_every_row_is_kept_merged_or_skipped() -> None:
    skips = pl.DataFrame([SKIPPED, MERGED, LOST], schema=SKIPS)
    found = data_quality(log({}, {}), skips, INPUTS, texts(), "o200k_base")
    assert (found.rows, found.kept, found.merged, found.skipped) == (5, 2, 1, 2)
    assert found.skip_reasons == {"bad-json": 1, "not-a-log": 1}
    broken, good = found.files
    assert (broken.name, broken.rows, broken.skipped) == ("broken.bin", 1, 1)
    assert (good.source, good.bytes, good.rows, good.kept, good.merged) == ("openai", 120, 4, 2, 1)


def test_shares_count_rows_with_text() -> None:
    requests = log(
        {},
        {},
        {"ts": None, "usage_source": "missing"},
        {"ts": None, "tenant": "t"},
    )
    told = texts((True, True), (False, False), (False, False), (True, False))
    found = data_quality(requests, NO_SKIPS, [], told, "")
    assert (found.prompt_share, found.answer_share, found.timed_share) == (0.5, 0.25, 0.5)
    said = " ".join(found.cannot_tell)
    assert "50.0% of the requests have no prompt text" in said
    assert "25.0% of the requests were answered without token counts" in said
    assert "names its endpoint" in said and "names its tenant" not in said


@pytest.mark.parametrize(
    ("gap", "days"),
    [(timedelta(days=29, hours=12), 29.5), (timedelta(minutes=5), 1 / 24), (timedelta(0), 1 / 24)],
)
def test_covered_time_is_at_least_an_hour(gap: timedelta, days: float) -> None:
    found = data_quality(log({}, {"ts": NOON + gap}), NO_SKIPS, [], texts(), "")
    assert found.covered_days == pytest.approx(days)
    assert found.first_ts == "2026-11-20T12:00:00+00:00"


def test_a_log_without_times_stands_for_a_month() -> None:
    found = data_quality(log({"ts": None}), NO_SKIPS, [], texts(), "")
    assert (found.covered_days, found.first_ts, found.last_ts) == (30.0, "", "")
    assert any(sentence.startswith("All requests have no time") for sentence in found.cannot_tell)


def test_a_failure_needs_no_answer_and_no_usage() -> None:
    failed = {"status": "error", "usage_source": "missing"}
    hit = {"served_by": "gateway_cache", "usage_source": "missing"}
    told = pl.concat([texts((True, True), (True, True)), texts((False, False), status="error")])
    found = data_quality(log({}, hit, failed), NO_SKIPS, [], told, "")
    assert found.uncounted == 0
    said = " ".join(found.cannot_tell)
    assert "token counts" not in said and "answer text" not in said


def test_a_timeout_may_have_been_billed() -> None:
    late = {"status": "error", "usage_source": "missing", "http_status": 504}
    named = {"status": "error", "usage_source": "missing", "error": "ReadTimeout"}
    refused = {"status": "error", "usage_source": "missing", "http_status": 429}
    found = data_quality(log(late, named, refused, {}), NO_SKIPS, [], texts(), "")
    assert any("50.0% of the requests timed out" in one for one in found.cannot_tell)


def test_an_empty_log_is_described_too() -> None:
    found = data_quality(log(), NO_SKIPS, INPUTS, texts(), "")
    assert (found.rows, found.kept, found.prompt_share) == (0, 0, 0)
