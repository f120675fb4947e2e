"""docs/formats.md describes each format as its sample is read today."""

import re
import tomllib

import polars as pl
import pytest

from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.contracts.run_dir import RunDir
from costaudit.ingest.sources.table import BY_NAME
from tests.conftest import ROOT
from tests.ingest.conftest import Ingest
from tests.ingest.formats import FORMATS, sample_of

PAGE = ROOT / "docs" / "formats.md"
ABOUT = tomllib.loads((FORMATS / "formats.toml").read_text("utf-8"))
COLUMNS = "| format | written by | recognised by | tokens | holds | as of | sample |\n" + "|---" * 7
HOLDS = {  # words on the page → columns; at least one must have a value
    "times": ("ts",),
    "latency": ("latency_ms",),
    "time to first token": ("ttft_ms",),
    "users": ("user",),
    "tenants": ("tenant", "account"),
    "conversations": ("conversation", "session"),
    "agents": ("agent", "skill"),
    "tags": ("tags",),
    "costs": ("logged_cost",),
    "finish reasons": ("finish_reason",),
}
FAMILIES = {
    "Providers": (
        *("openai_chat", "openai_responses", "anthropic_messages", "gemini", "bedrock"),
        *("vertex_log", "openai_stored", "streams", "chunk_arrays"),
    ),
    "Batches": ("openai_batch", "anthropic_batch", "gemini_batch", "bedrock_batch"),
    "Gateways": (
        *("litellm", "litellm_spend", "portkey", "openrouter", "cloudflare", "helicone", "kong"),
        "azure_apim",
    ),
    "Observability": (
        *("otel", "phoenix", "langfuse", "langsmith", "mlflow", "datadog", "posthog", "opik"),
        *("braintrust", "weave"),
    ),
    "Coding agents": (
        *("claude_code", "claude_stream", "claude_events", "codex", "codex_exec", "gemini_cli"),
        *("opencode", "copilot_cli", "cline", "aider", "cursor"),
    ),
    "Traces without texts": ("mooncake", "kv_trace", "burstgpt", "azure_trace"),
    "Totals, which are not calls": ("daily_totals",),
    "Your own": ("mapped",),
}  # fmt: skip
FAMILY = {source: family for family, sources in FAMILIES.items() for source in sources}


def test_every_source_has_a_sample_and_every_sample_a_row(
    ingested: Ingest, request: pytest.FixtureRequest
) -> None:
    rows: dict[str, list[tuple[str, str]]] = {name: [] for name in FAMILIES}
    seen = set()
    for name, about in sorted(ABOUT.items()):
        run, source, evidence = read(ingested, name)
        seen.add(source)
        file = sample_of(name).name
        cells = (
            *(about["title"], about["writer"], shown(evidence), tokens(run), holds(run)),
            *(about["as_of"], f"[{file}](../sample_logs/formats/{file})"),
        )  # fmt: skip
        place = FAMILIES[FAMILY[source]].index(source)
        rows[FAMILY[source]].append((f"{place:02d} {name}", " | ".join(cells)))
    assert {*BY_NAME, "mapped"} == seen
    assert {path.stem for path in FORMATS.glob("expected/*.csv")} == ABOUT.keys()
    head = PAGE.read_text("utf-8").partition("\n## ")[0]  # the handwritten part
    page = f"{head}\n" + "\n\n".join(
        f"## {family}\n\n{COLUMNS}|\n" + "\n".join(f"| {row} |" for _, row in sorted(rows[family]))
        for family in FAMILIES
    )
    if request.config.getoption("--update-golden"):
        PAGE.write_text(page + "\n", "utf-8")
    assert PAGE.read_text("utf-8") == page + "\n", "docs/formats.md is old; see --update-golden"


def read(ingested: Ingest, name: str) -> tuple[RunDir, str, str]:
    """Ingest a sample; return its run, its source (of a mixed file, the inner one) and evidence."""
    mapping = FORMATS / f"{name}.map.toml"
    options = {"maps": (str(mapping),)} if mapping.exists() else {}
    run, summary = ingested(sample_of(name), into=name, **options)
    (file,) = summary.files
    if file.source == "mixed":
        (source,) = re.findall(r"\d+ (\w+) \(", file.evidence)
        return run, source, file.evidence
    return run, file.source, file.evidence


def shown(evidence: str) -> str:
    """Return the fields that identify the format."""
    found = re.search(r"records have (.*)$|\d+ \w+ \((.*)\)$", evidence)
    return f"`{found[1] or found[2]}`" if found else evidence


def tokens(run: RunDir) -> str:
    """List the token classes that at least one call has."""
    sums = run.requests().select(pl.col(*INPUT_CLASSES, "output_tokens", "reasoning_tokens").sum())
    names = {
        "input_uncached_tokens": "input", "cache_read_tokens": "reads",
        "cache_write_5m_tokens": "writes 5m", "cache_write_1h_tokens": "writes 1h",
        "cache_write_other_tokens": "writes", "output_tokens": "output",
        "reasoning_tokens": "reasoning",
    }  # fmt: skip
    return ", ".join(text for name, text in names.items() if sums[name][0]) or "none"


def holds(run: RunDir) -> str:
    """List what at least one call has besides tokens."""
    requests = run.requests()
    there = [
        text for text, names in HOLDS.items() if any(has_value(requests[name]) for name in names)
    ]
    kinds = [
        kind
        for segments in requests["segments"]
        for kind in (["prompts"] if any(s["role"] == "user" for s in segments) else [])
    ]
    texts = run.blocks().filter(pl.col("text").is_not_null() & (pl.col("text") != ""))
    if kinds and len(texts):
        there.append("prompts")
    if has_value(requests["answer_id"]):
        there.append("answers")
    units = sorted({one["unit"] for row in requests["billed_units"].to_list() for one in row or ()})
    there += [unit.replace("_", " ") for unit in units]
    return ", ".join(there) or "nothing"


def has_value(column: pl.Series) -> bool:
    """Return whether any cell is neither null nor an empty list."""
    if isinstance(column.dtype, pl.List):
        return bool((column.list.len().fill_null(0) > 0).any())
    return column.null_count() < len(column)


def test_the_page_is_linked() -> None:
    assert "(docs/formats.md)" in (ROOT / "README.md").read_text("utf-8")


def test_a_sample_is_small() -> None:
    assert all(path.stat().st_size < 20_000 for path in FORMATS.iterdir() if path.is_file())
