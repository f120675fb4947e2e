"""Prompt caching through the pipeline: a block-hash trace, and the sample log's timestamp."""

import gc
import os
import random
import re
import weakref
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from costaudit.contracts.audit import Audit
from costaudit.contracts.manifest import RedactionMode
from costaudit.contracts.prefix import Breaker, PrefixSection, SessionAgreement
from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.contracts.run_dir import RunDir
from costaudit.costing.plans.worth import Terms
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions
from costaudit.pipeline.analyze import analyze_and_write
from costaudit.pipeline.ledger import ledger_of
from costaudit.pipeline.loaded import Loaded, load
from costaudit.pipeline.prompt_caching import PromptCaches, self_hosted_curve
from costaudit.pipeline.semantic.keyed_run import CacheHits
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import SilentProgress
from tests.ingest.conftest import chat, write_lines

DATA = Path(os.environ.get("COSTAUDIT_DATA", Path(__file__).parents[3] / "shared" / "data"))
TRACE = DATA / "mooncake" / "conversation_trace.jsonl.gz"
SAMPLE = Path(__file__).parents[2] / "sample_logs" / "support_chatbot.jsonl.zst"
ENDPOINT = "/v1/support/orders-assistant"
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.mark.skipif(not TRACE.is_file(), reason="the Mooncake data set is not beside the project")
def test_an_hour_of_a_chat_service_reuses_what_its_publishers_counted(tmp_path: Path) -> None:
    """37.4 % of tokens and 36.6 % of blocks without a limit, 21.1 % of blocks with 10,000."""
    run = RunDir(tmp_path / "run")
    ingest([str(TRACE)], run, IngestOptions(), SilentProgress())
    small, unlimited = self_hosted_curve(load(run, AnalyzeOptions()), 512, (10_000,))
    assert unlimited.blocks is None
    assert round(unlimited.token_hit_share, 3) == 0.374
    assert round(unlimited.block_hit_share, 3) == 0.366
    assert round(small.block_hit_share, 3) == 0.211


@pytest.fixture(scope="module")
def chatbot(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """Ingest the support chatbot's sample log."""
    run = RunDir(tmp_path_factory.mktemp("chatbot") / "run")
    ingest([str(SAMPLE)], run, IngestOptions(), SilentProgress())
    return load(run, AnalyzeOptions())


@pytest.fixture(scope="module")
def section(chatbot: Loaded) -> PrefixSection:
    """Simulate the support chatbot's prompt caching."""
    return PromptCaches(chatbot).section()


def test_prompts_that_are_only_laid_out_flat_change_no_number(
    chatbot: Loaded, section: PrefixSection
) -> None:
    flat = chatbot.without_prompts()
    assert "segments" not in flat.requests.columns
    assert flat.templates.equals(chatbot.templates)
    assert PromptCaches(flat).section() == section


def test_released_prompts_are_freed_and_what_was_simulated_stays(
    chatbot: Loaded, section: PrefixSection
) -> None:
    count = len(chatbot.requests)
    nobody, third = np.zeros(count, np.bool_), np.arange(count) % 3 == 0
    kept, released = PromptCaches(chatbot), PromptCaches(chatbot)
    prompts = weakref.ref(released.facts.prompts.node)
    released.release([third])
    gc.collect()
    assert prompts() is None
    assert released.section() == section
    for removed in (nobody, third):
        assert_frame_equal(released.as_is(removed), kept.as_is(removed))
        assert_frame_equal(released.best(removed), kept.best(removed))
    assert kept.as_is(third).filter(pl.Series(third)).sum_horizontal().sum() == 0
    with pytest.raises(AssertionError, match="released"):
        released.as_is(~third)


def test_no_prompt_is_in_memory_when_levers_are_ordered(chatbot: Loaded) -> None:
    caches = PromptCaches(chatbot)
    prompts = weakref.ref(caches.facts.prompts.node)
    third = CacheHits(np.arange(len(chatbot.requests)) % 3 == 0, Decimal(0))
    ledger = ledger_of(chatbot, third, caches, (), Terms())
    gc.collect()
    assert prompts() is None
    assert {step.lever for step in ledger.steps} == {"duplicates", "prompt_caching"}


def test_the_timestamp_of_the_sample_log_is_found_located_and_priced(chatbot: Loaded) -> None:
    templates = PromptCaches(chatbot, show_prompts=True).section().templates
    mine = [one for one in templates if one.endpoint == ENDPOINT]
    found = [item for one in mine for item in one.breakers if item.kind == "timestamp"]
    assert found
    for item in found:
        assert item.lost_tokens > 0
        assert item.lost_usd_month.usd > 0
        assert not item.provider_side
        assert "time" in item.mend
        _check_place(item, _system_prompts(chatbot))
    assert not [
        item.where
        for one in templates
        if one.endpoint != ENDPOINT
        for item in one.breakers
        if item.kind == "timestamp"
    ]


@pytest.mark.parametrize("redact", [pytest.param("none", marks=pytest.mark.slow), "hash"])
def test_the_best_prompts_of_no_template_cost_more_than_those_sent(
    redact: RedactionMode, tmp_path: Path
) -> None:
    run = RunDir(tmp_path / "run")
    ingest([str(SAMPLE)], run, IngestOptions(redact=redact), SilentProgress())
    templates = PromptCaches(load(run, AnalyzeOptions())).section().templates
    assert len(templates) > 10
    assert min(one.saving_month.usd for one in templates) >= 0


def test_a_prompt_is_shown_only_when_asked_for(section: PrefixSection) -> None:
    for one in section.templates:
        for item in one.breakers:
            assert not TIMESTAMP.search(item.context)


def _system_prompts(log: Loaded) -> list[str]:
    """List the distinct system prompts of the endpoint."""
    rows = log.requests.filter(pl.col("endpoint") == ENDPOINT).select("segments")
    segments = rows.explode("segments").unnest("segments").filter(pl.col("role") == "system")
    texts = segments.join(log.blocks.select("block_id", "text"), on="block_id")["text"]
    return texts.unique().sort().to_list()


def _check_place(item: Breaker, texts: list[str]) -> None:
    """Assert that the reported place is inside the timestamp of the quoted prompt."""
    place = re.fullmatch(r"system, block \d+, character ([\d,]+) of ([\d,]+)", item.where)
    assert place
    at, chars = (int(group.replace(",", "")) for group in place.groups())
    quoted = item.context.replace("‹", "").replace("›", "")
    prompts = [text for text in texts if quoted in text and len(text) == chars]
    assert prompts
    for text in prompts:
        stamp = TIMESTAMP.search(text)
        assert stamp
        assert stamp.start() <= at - 1 < stamp.end()
        assert f"‹{stamp.group()}›" in item.context


def test_what_is_moved_out_of_the_head_is_still_paid_for(tmp_path: Path) -> None:
    """A random head of about 150 tokens before a document is uncached if moved behind it."""
    document = " ".join(f"Rule {n}: parcels of kind {n * 7} go by truck." for n in range(220))
    rng = random.Random(7)
    calls = 80
    records = []
    for number in range(calls):
        head = " ".join(f"{rng.getrandbits(32):08x}" for _ in range(25))
        record = chat(number, f"Where is parcel {number}?", system=f"{head}\n{document}")
        record["response"]["usage"] = {
            "prompt_tokens": 3_000,
            "completion_tokens": 20,
            "total_tokens": 3_020,
            "prompt_tokens_details": {"cached_tokens": 0},
        }
        records.append(record)
    log = write_lines(tmp_path / "log.jsonl", records)
    run = RunDir(tmp_path / "run")
    ingest([str(log)], run, IngestOptions(), SilentProgress())
    section = PromptCaches(load(run, AnalyzeOptions())).section()
    sent, best = (
        sum(getattr(one, name) for name in INPUT_CLASSES) for one in (section.as_is, section.best)
    )
    assert section.as_is.cache_read_tokens == 0
    assert section.best.cache_read_tokens > 0.7 * sent  # the document, now at the head
    assert best == sent == 3_000 * calls
    assert section.best.input_uncached_tokens > 100 * calls  # the old head, uncached
    (template,) = section.templates
    (breaker,) = (one for one in template.breakers if one.lost_usd_month.usd > 0)
    assert breaker.lost_usd_month.usd == section.saving_month.usd  # the only one


@pytest.fixture(scope="module")
def gemini(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDir, Audit]:
    """Audit two runs of ten calls a minute apart, an hour between them; the bill shows no reads."""
    head = " ".join(f"Rule {i}: article {i * 7} ships in {i % 9} days." for i in range(400))
    lines = []
    for number in range(20):
        at = 1_790_000_000 + number // 10 * 4_140 + number % 10 * 60
        request = {
            "systemInstruction": {"parts": [{"text": head}]},
            "contents": [{"role": "user", "parts": [{"text": f"Where is order {number}?"}]}],
        }
        answer = {"content": {"role": "model", "parts": [{"text": "Here."}]}}
        usage = {"promptTokenCount": 10_000, "candidatesTokenCount": 10, "totalTokenCount": 10_010}
        response = {
            "modelVersion": "gemini-2.5-pro",
            "responseId": f"r{number}",
            "candidates": [{**answer, "finishReason": "STOP"}],
            "usageMetadata": usage,
        }
        stamp = datetime.fromtimestamp(at, UTC).isoformat()
        session = f"s{number // 5}"
        lines.append(
            {"timestamp": stamp, "session_id": session, "request": request, "response": response}
        )
    folder = tmp_path_factory.mktemp("gemini")
    log, run = write_lines(folder / "gemini.jsonl", lines), RunDir(folder / "run")
    return run, analyze_and_write([str(log)], run, AnalyzeOptions(), SilentProgress())


def test_an_explicit_cache_is_priced_with_its_storage(gemini: tuple[RunDir, Audit]) -> None:
    """Of 10,000 tokens per call, the head is read at $0.125 instead of $1.25 per million.

    It is created twice and stored for 2 · (540 + 300) seconds at $4.50 per million tokens and hour.
    """
    section = gemini[1].prefix
    assert section
    (row,) = section.explicit_caches
    assert (row.requests, row.lifetime, row.creations) == (20, "5m", 2)
    each = [part.tokens for part in section.templates[0].parts if part.part == "system"]
    assert row.cached_tokens == each[0]
    assert 9_900 * 20 < row.cached_tokens < 10_000 * 20
    head_tokens = Decimal(row.cached_tokens) / 20
    storage = head_tokens * 2 * 840 / 3600 * Decimal("4.5") / 10**6
    assert row.storage_usd == pytest.approx(storage)
    output = 20 * 10 * Decimal(10)
    before = (20 * 10_000 * Decimal("1.25") + output) / 10**6
    assert row.before_usd == before
    sent = 20 * 10_000 - 18 * head_tokens
    after = (sent * Decimal("1.25") + 20 * head_tokens * Decimal("0.125") + output) / 10**6
    assert row.after_usd == pytest.approx(after + storage)
    assert row.saving_month.usd == pytest.approx(before - after - storage)  # the log has no month


def test_a_bill_without_reads_says_what_explicit_caches_would_save(
    gemini: tuple[RunDir, Audit],
) -> None:
    """20 heads of h tokens save $1.125/M each, 2 creations cost $1.25/M: $20 h/M less storage."""
    run, audit = gemini
    assert audit.prefix
    (row,) = audit.prefix.explicit_caches
    saved = row.cached_tokens / 1e6 - row.cached_tokens / 20 * 2 * 840 / 3600 * 4.5e-6
    (told,) = [one for one in audit.findings if one.code == "prefix-explicit-cache"]
    wanted = f"Explicit caches would save ${saved:.2f} in this log, net of storage: generateContent"
    assert (told.title, told.saved) == (wanted, None)
    assert "which saves $0.00 in this log; it is not part of the total" in told.detail
    assert audit.prefix.saving_month.usd == 0
    page = run.report_path.read_text("utf-8")
    assert 'ttl="300s"' in row.snippet and "cached_content" in row.snippet
    for shown in (wanted, "Explicit cache for", "With explicit caches instead", "caches.create("):
        assert shown in page


def test_the_agreement_of_sessions_is_in_the_audit(gemini: tuple[RunDir, Audit]) -> None:
    """Four sessions of five calls: implicit caching should have reads, but the bill shows none."""
    run, audit = gemini
    assert audit.prefix
    assert audit.prefix.session_agreement == SessionAgreement(4, 0, 0, 4)
    assert "Sessions by how far their simulated reads" in run.report_path.read_text("utf-8")
