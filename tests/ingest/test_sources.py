"""Each source's sample is read as the table next to it, which a person can check by eye."""

import csv
from pathlib import Path

import polars as pl
import pytest

from costaudit.contracts.audit import OTHER
from costaudit.contracts.run_dir import RunDir
from costaudit.ingest.sources.table import SOURCES
from tests.ingest.conftest import Ingest
from tests.ingest.formats import FORMATS, sample_of

EXPECTED = sorted(FORMATS.glob("expected/*.csv"))
SOURCE_OF = {
    "langfuse_blob": "langfuse",
    "langfuse_api": "langfuse",
    "otel_events": "otel",
    "openinference": "otel",
    "openllmetry": "otel",
    "ai_sdk": "otel",
    "openrouter_activity": "openrouter",
    **dict.fromkeys(("jaeger", "zipkin", "tempo"), "otel"),
    "gemini_cli_lines": "gemini_cli",
    "azure_batch": "openai_batch",
    "mistral_batch": "openai_batch",
    "vertex_batch": "gemini_batch",
    "vertex_claude_batch": "anthropic_batch",
    "responses_compaction": "openai_responses",
    **dict.fromkeys(
        ("ollama", "cohere", "groq", "perplexity", "embeddings", "other_answers", "stream_texts"),
        "openai_chat",
    ),
}
MIXED = ("jaeger", "zipkin", "tempo")  # the call's span is next to a span of other software


def as_table(run: RunDir) -> list[dict[str, str]]:
    """Return a run's requests in the form of the expected tables; missing values are empty."""
    texts = dict(run.blocks().select("block_id", "text").iter_rows())
    rows = []
    for row in run.requests().iter_rows(named=True):
        asked = [
            texts[s["block_id"]]
            for s in row["segments"]
            if (s["role"], s["kind"]) == ("user", "text")
        ]
        moment = row["ts"].replace(tzinfo=None) if row["ts"] else None
        shown = {
            "native_id": row["native_id"],
            "ts": moment and moment.isoformat(timespec="milliseconds").removesuffix(".000"),
            **{k: row[k] for k in ("provider", "model", "user", "tenant", "conversation")},
            "endpoint": row["endpoint"],
            "uncached": row["input_uncached_tokens"],
            "read": row["cache_read_tokens"],
            "write_5m": row["cache_write_5m_tokens"],
            "write_1h": row["cache_write_1h_tokens"],
            "write_other": row["cache_write_other_tokens"],
            "output": row["output_tokens"],
            "reasoning": row["reasoning_tokens"],
            "cost": row["logged_cost"],
            "unit": row["cost_unit"],
            "latency_ms": row["latency_ms"] and f"{row['latency_ms']:.0f}",
            "ttft_ms": row["ttft_ms"] and f"{row['ttft_ms']:.0f}",
            **{k: row[k] for k in ("status", "error", "served_by")},
            "is_batch": str(row["is_batch"]).lower(),
            "question": asked[-1] if asked else None,
            "answer": texts.get(row["answer_id"]),
        }
        rows.append({k: "" if v is None else str(v) for k, v in shown.items()})
    return rows


@pytest.mark.parametrize("path", EXPECTED, ids=lambda p: p.stem)
def test_a_sample_comes_out_as_its_table(ingested: Ingest, path: Path) -> None:
    name = path.stem
    mapping = FORMATS / f"{name}.map.toml"
    options = {"maps": (str(mapping),)} if mapping.exists() else {}
    run, summary = ingested(sample_of(name), **options)
    with path.open(encoding="utf-8", newline="") as file:
        expected = list(csv.DictReader(file))
    assert as_table(run) == expected
    wanted = "mixed" if name in MIXED else SOURCE_OF.get(name, name)
    assert summary.files[0].source == wanted
    assert summary.records == summary.kept + summary.merged + summary.skipped
    assert summary.files[0].evidence


def test_every_source_has_a_sample() -> None:
    covered = {SOURCE_OF.get(path.stem, path.stem) for path in EXPECTED}
    assert {source.name for source in SOURCES} <= covered


def test_all_samples_in_one_folder_keep_their_formats(ingested: Ingest) -> None:
    run, summary = ingested(FORMATS, dedupe=False)
    kept = dict(run.requests()["source"].value_counts().iter_rows())
    for path in EXPECTED:
        if path.stem in ("mapped", "daily_totals"):  # never detected; no calls
            continue
        source = SOURCE_OF.get(path.stem, path.stem)
        assert kept[source] >= 1
    assert {f.source for f in summary.files} <= {s.name for s in SOURCES} | {
        "",
        "mixed",
        OTHER,  # the README next to the samples
    }
    assert run.skips().filter(pl.col("reason") == "not-a-log")["source_file"].len() >= 1
