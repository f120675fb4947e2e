"""Measure time and memory of all levers over a million ingested requests.

Run `python benchmarks/bench_levers.py [REQUESTS]`. The traffic is made up: six kinds of endpoints,
half a million different questions, tools that are never called, indented JSON, nightly bursts,
agents that loop, and questions that two models answered. The calls that carry unused tools are
counted when the traffic is generated, and compared with the finding. Another process writes the
tables of a run directory, so that time and memory are those of `costaudit levers RUN`: reading and
pricing the tables, identical questions, prompt caching and the ledger are included.
"""

import json
import resource
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import polars as pl

from costaudit.contracts.requests import BLOCKS, REQUESTS, SEGMENT
from costaudit.contracts.run_dir import RunDir, write_table
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions
from costaudit.pipeline.ledger import levered
from costaudit.pipeline.loaded import load
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import SilentProgress

LARGE, SMALL = "gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18"
LIMIT_S, LIMIT_MB = 60.0, 3_000  # CPU time: others may use the same cores
NOUNS = np.array(
    [a + b for a in ("par", "in", "re", "vou", "ca", "mo") for b in ("cel", "voice", "fund", "ble")]
)


def texts(rng: np.random.Generator, many: int, words: int) -> pl.Series:
    """Return texts of random words; nearly all of them are different."""
    drawn = NOUNS[rng.integers(0, len(NOUNS), (many, words))]
    columns = {f"w{i}": drawn[:, i] for i in range(words)}
    return pl.DataFrame(columns).select(pl.concat_str(pl.all(), separator=" ")).to_series()


def made(requests: int, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return made-up tables REQUESTS and BLOCKS."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(6, requests, p=[0.45, 0.2, 0.1, 0.1, 0.05, 0.1])
    asked = rng.integers(0, requests // 2, requests)
    asked[kind == 5] = rng.integers(0, 20_000, int((kind == 5).sum()))  # the twins' questions
    question = "q" + pl.Series(asked).cast(pl.String)
    tools = [{"name": f"tool{i}", "description": "does " * 40} for i in range(8)]
    pages = [
        json.dumps([{"item": f"i{k}", "n": k} for k in range(j, j + 20)], indent=4)
        for j in range(2_000)
    ]
    shared = {"sys": "You help. " * 60, **{f"t{i}": json.dumps(t) for i, t in enumerate(tools)}}
    shared |= {f"d{i}": page for i, page in enumerate(pages)}
    shared |= {"use": '{"name": "tool0", "input": {"a": 1}}', "res": "queued"}
    ids = np.unique(asked)
    blocks = pl.concat(
        [
            pl.DataFrame({"block_id": list(shared), "text": list(shared.values())}),
            pl.DataFrame({"block_id": "q" + pl.Series(ids).cast(pl.String),
                          "text": texts(rng, len(ids), 24)}),
            pl.DataFrame({"block_id": "a" + pl.Series(ids).cast(pl.String),
                          "text": texts(rng, len(ids), 40)}),
        ]
    )  # fmt: skip
    kinds = pl.when(pl.col("block_id").str.contains("^t[0-9]$")).then(pl.lit("tool_definition"))
    kinds = kinds.when(pl.col("block_id") == "use").then(pl.lit("tool_use"))
    kinds = kinds.when(pl.col("block_id") == "res").then(pl.lit("tool_result"))
    blocks = blocks.with_columns(
        kind=kinds.otherwise(pl.lit("text")),
        chars=pl.col("text").str.len_chars().cast(pl.Int64),
        tokens=(pl.col("text").str.len_chars() // 4).cast(pl.Int32),
    ).select(BLOCKS.names()).cast(dict(BLOCKS))  # fmt: skip
    segments = _segments(kind, question, rng)
    at = np.sort(rng.integers(0, 30 * 86_400, requests))
    bursts = kind == 3
    at = np.where(bursts, at // 86_400 * 86_400 + 10_800 + at % 600, at)
    large = np.where(kind == 5, rng.random(requests) < 0.5, True)
    frame = pl.DataFrame(
        {
            "request_id": "r" + pl.int_range(requests, eager=True).cast(pl.String),
            "ts": pl.Series(at.astype(np.int64) * 1_000_000 + 1_790_000_000_000_000)
            .cast(pl.Datetime("us", "UTC")),
            "model": np.where(large, LARGE, SMALL),
            "endpoint": np.array(["/chat", "/tools", "/docs", "/grading", "/agent", "/faq"])[kind],
            "user": "u" + pl.Series(rng.integers(0, 5_000, requests)).cast(pl.String),
            "segments": segments,
            "answer_id": "a" + pl.Series(asked).cast(pl.String),
            "answer_kind": "text",
            "finish_reason": "stop",
            "kind": "chat",
            "status": "ok",
            "provider": "openai",
            "served_by": "provider",
            "is_batch": False,
            "stream": False,
            "turn_index": 0,
            "attempt": 0,
            "latency_ms": rng.lognormal(7, 0.3, requests),
            "input_uncached_tokens": 900,
            "output_tokens": rng.integers(60, 90, requests),
        }
    )  # fmt: skip
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in REQUESTS.items()
               if name not in frame.columns]  # fmt: skip
    return frame.with_columns(missing).select(REQUESTS.names()).cast(dict(REQUESTS)), blocks


def _segments(kind: np.ndarray, question: pl.Series, rng: np.random.Generator) -> pl.Series:
    """Return each request's prompt: a system prompt, what its kind adds, and the question."""
    rows = np.arange(len(kind))
    parts = [(rows, "sys", "system", "text", 200)]
    parts += [(rows[kind == 1], f"t{i}", "tools", "tool_definition", 70) for i in range(8)]
    acting = rows[(kind == 4) | (kind == 1)]
    parts += [(acting, name, role, sort, 20) for _ in range(2) for name, role, sort in
              (("use", "assistant", "tool_use"), ("res", "tool", "tool_result"))]  # fmt: skip
    frames = [
        pl.DataFrame({"row": at, "order": order}).with_columns(
            role=pl.lit(role), kind=pl.lit(sort), block_id=pl.lit(name),
            tokens=pl.lit(tokens, pl.Int32),
        )
        for order, (at, name, role, sort, tokens) in enumerate(parts)
    ]  # fmt: skip
    docs = rows[kind == 2]
    for order, (at, ids, tokens) in enumerate(
        ((docs, "d" + pl.Series(rng.integers(0, 2_000, len(docs))).cast(pl.String), 300),
         (rows, question, 40)), len(parts),
    ):  # fmt: skip
        frames.append(pl.DataFrame({"row": at, "order": order}).with_columns(
            role=pl.lit("user"), kind=pl.lit("text"), block_id=ids,
            tokens=pl.lit(tokens, pl.Int32),
        ))  # fmt: skip
    flat = pl.concat(frames).sort("row", "order").with_columns(cache_marker=pl.lit(None, pl.String))
    names = [field.name for field in SEGMENT.fields]
    grouped = flat.group_by("row", maintain_order=True).agg(segments=pl.struct(names))
    return grouped["segments"]


def write_run(requests: int, folder: Path) -> None:
    """Write a run directory with made-up tables; its manifest is that of a log of one call."""
    log = folder / "log.jsonl"
    call = {"model": LARGE, "messages": [{"role": "user", "content": "Hello"}]}
    log.write_text(json.dumps({"request": call, "response": {"model": LARGE}}) + "\n")
    run = RunDir(folder / "run")
    ingest([str(log)], run, IngestOptions(), SilentProgress())
    frame, blocks = made(requests)
    write_table(frame, run.requests_path, REQUESTS)
    write_table(blocks, run.blocks_path, BLOCKS)


def main(requests: int) -> None:
    """Time the levers as `costaudit levers RUN` shows them, check some, and print the result."""
    with tempfile.TemporaryDirectory() as folder:
        writer = get_context("spawn").Process(target=write_run, args=(requests, Path(folder)))
        writer.start()
        writer.join()
        assert writer.exitcode == 0
        run, options = RunDir(Path(folder) / "run"), AnalyzeOptions()
        started, cpu = time.perf_counter(), time.process_time()
        logs = [load(run, options)]
        read = time.process_time() - cpu
        carried = int((logs[0].requests["endpoint"] == "/tools").sum())
        rows, _ = levered(logs.pop(), options, SilentProgress())
    for row in rows:
        print(f"{row.lever:<18} {row.requests:>9,} calls   ${row.alone.usd:>8,.2f} alone   "
              f"${row.saved.usd:>8,.2f} in the ledger, a month")  # fmt: skip
    wall, spent = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    found = {row.lever: row for row in rows}
    assert {"tools", "serialisation", "batch", "routing"} <= found.keys(), found.keys()
    assert found["tools"].requests == carried
    print(f"{requests:,} requests: {wall:.1f} s wall, {spent:.1f} s CPU, {read:.1f} of it to read "
          f"and price the tables; peak {peak:,.0f} MB")  # fmt: skip
    print("within the limits" if spent <= LIMIT_S and peak <= LIMIT_MB else "BEYOND THE LIMITS")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
