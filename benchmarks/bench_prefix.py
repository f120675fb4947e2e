"""Time the prompt-cache simulation of a million multi-turn requests, after checking its results.

Run `python benchmarks/bench_prefix.py [REQUESTS]`. The traffic is made up: conversations of up to
ten turns over twenty templates with tools and system prompts of 9,000 tokens, and with markers
after the system prompt and after the last message. The expected cache reads are computed
independently, from the conversations alone without looking at prompts. Another process writes the
tables of a run directory and the expected reads, so that the peak memory is that of reading and
analysing a log as `costaudit prefix` does.
"""

import resource
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from costaudit.contracts.policies import PrefixPolicy
from costaudit.contracts.requests import BLOCKS, REQUESTS, SEGMENT, in_order
from costaudit.contracts.run_dir import RunDir, write_table
from costaudit.simulate.prefix.advice.facts import prefix_facts
from costaudit.simulate.prefix.advice.policy_run import Sent, simulate_prefix
from costaudit.simulate.prefix.tree.prompts import read_prompts
from costaudit.simulate.segments import Segments, flat_segments
from costaudit.simulate.templates import system_templates

TEMPLATES = 20
TURNS = 10
STATIC_TOKENS = (1500, 2500, 5000)  # two tools and the system prompt
TURN_TOKENS = 60  # tokens of a question, and of an answer
TTL_S = 300.0
LIMIT_S = 60.0


def conversations(requests: int, seed: int) -> dict[str, np.ndarray]:
    """Return random turns of conversations with their times, in order of time."""
    rng = np.random.default_rng(seed)
    turns = rng.integers(1, TURNS + 1, requests)
    turns = turns[: int(np.searchsorted(np.cumsum(turns), requests)) + 1]
    conversation = np.repeat(np.arange(len(turns)), turns)[:requests]
    first = np.concatenate([[0], np.flatnonzero(np.diff(conversation)) + 1])
    turn = np.arange(requests) - first[conversation]
    pauses = 0.01 + rng.exponential(120.0, requests)
    pauses[turn == 0] = 0.0
    since = np.cumsum(pauses)
    start = rng.uniform(0, requests * 0.5, len(turns))
    at = start[conversation] + since - since[first][conversation]
    order = np.argsort(at, kind="stable")
    return {
        "at": at[order],
        "conversation": conversation[order],
        "turn": turn[order],
        "template": (conversation % TEMPLATES)[order],
    }


def expected_reads(log: dict[str, np.ndarray]) -> np.ndarray:
    """Return the expected cache reads, from the last use of each conversation and template.

    Answers start after a millisecond.
    """
    static = sum(STATIC_TOKENS)
    used: dict[tuple[str, int], float] = {}
    reads = np.zeros(len(log["at"]), np.int64)
    for row, (at, talk, turn, template) in enumerate(
        zip(log["at"], log["conversation"], log["turn"], log["template"], strict=True)
    ):
        last, system = ("talk", int(talk)), ("template", int(template))
        if turn and at < used[last] + TTL_S:
            reads[row] = static + TURN_TOKENS * (2 * turn - 1)
        elif system in used and at < used[system] + TTL_S:
            reads[row] = static
            used[system] = at
        else:
            used[system] = at
        used[last] = at
    return reads


def tables(log: dict[str, np.ndarray]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the log as the tables REQUESTS and BLOCKS."""
    count = len(log["at"])
    sizes = 4 + 2 * log["turn"]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    owner = np.repeat(np.arange(count), sizes)
    place = np.arange(offsets[-1]) - offsets[owner]
    static = place < 3
    said = log["conversation"][owner] * (2 * TURNS) + place - 3
    number = np.where(static, log["template"][owner] * 3 + place, 3 * TEMPLATES + said)
    names = pl.Series(number).cast(pl.String).str.zfill(32)
    role = np.where(static, np.where(place < 2, 0, 1), np.where(place % 2 == 1, 2, 3))
    roles = pl.Series(["tools", "system", "user", "assistant"]).gather(role)
    kinds = pl.Series(["tool_definition", "text", "text", "text"]).gather(role)
    marked = (place == 2) | (place == sizes[owner] - 1)
    tokens = np.where(static, np.array([*STATIC_TOKENS, 0])[np.minimum(place, 3)], TURN_TOKENS)
    flat = pl.DataFrame(
        {
            "role": roles,
            "kind": kinds,
            "block_id": names,
            "tokens": pl.Series(tokens, dtype=pl.Int32),
            "cache_marker": pl.Series(np.where(marked, "5m", "")).replace("", None),
        }
    )
    lists = pa.LargeListArray.from_arrays(
        pa.array(offsets, pa.int64()), flat.to_struct().to_arrow()
    )
    total = sum(STATIC_TOKENS) + TURN_TOKENS * (2 * log["turn"] + 1)
    columns = {
        "request_id": pl.Series(np.arange(count)).cast(pl.String),
        "ts": pl.Series(1_790_000_000_000_000 + (log["at"] * 1e6).astype(np.int64)).cast(
            pl.Datetime("us", "UTC")
        ),
        "segments": pl.from_arrow(lists).cast(pl.List(SEGMENT)),
        "input_uncached_tokens": pl.Series(total),
        "conversation": pl.Series(log["conversation"]).cast(pl.String),
        "source_offset": pl.Series(np.arange(count)),
    }
    fixed = {
        "provider": "anthropic", "model": "claude-sonnet-4-5", "kind": "chat", "status": "ok",
        "endpoint": "/chat", "served_by": "provider", "usage_source": "estimated",
        "source_file": "made-up", "is_batch": False, "output_tokens": 200, "latency_ms": 1.0,
    }  # fmt: skip
    requests = pl.DataFrame(columns).with_columns(
        [pl.lit(value).alias(name) for name, value in fixed.items()]
    )
    missing = [
        pl.lit(0 if name.endswith("_tokens") else None).cast(dtype).alias(name)
        for name, dtype in REQUESTS.items()
        if name not in requests.columns
    ]
    requests = requests.with_columns(missing).select(REQUESTS.names()).cast(REQUESTS)
    return requests, block_table(pl.Series(number).unique().sort())


def block_table(numbers: pl.Series) -> pl.DataFrame:
    """Return BLOCKS with texts of the right length: about four characters per token."""
    is_static = numbers < 3 * TEMPLATES
    ids = numbers.cast(pl.String).str.zfill(32)
    said = "turn " + ids + " says what a turn of a conversation says: " + ids.str.reverse()
    sizes = [STATIC_TOKENS[number % 3] // 5 for number in range(3 * TEMPLATES)]
    texts = [f"static {n} " + f"text of part {n} " * size for n, size in enumerate(sizes)]
    text = pl.Series(texts).gather((numbers % len(texts)).cast(pl.UInt32))
    return (
        pl.DataFrame({"block_id": ids, "text": said.zip_with(~is_static, text)})
        .with_columns(
            kind=pl.lit("text"), chars=pl.col("text").str.len_chars().cast(pl.Int64),
            tokens=pl.lit(None, dtype=pl.Int32),
        )
        .select(BLOCKS.names())
    )  # fmt: skip


def write_run(size: int, folder: Path) -> None:
    """Write the tables of a log with `size` requests, and its expected cache reads."""
    log = conversations(size, seed=7)
    requests, blocks = tables(log)
    run = RunDir(folder)
    write_table(requests, run.requests_path, REQUESTS)
    write_table(blocks, run.blocks_path, BLOCKS)
    np.save(folder / "reads.npy", expected_reads(log))


def read_run(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame, Segments]:
    """Return the tables, with the prompts laid out flat."""
    run = RunDir(folder)
    requests, blocks = in_order(run.requests()), run.blocks()
    segments = flat_segments(requests, blocks)
    return requests.drop("segments"), blocks, segments


class Watch:
    """Prints the wall time and CPU time of each step."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def lap(self, label: str) -> float:
        wall, processor = time.perf_counter() - self._wall, time.process_time() - self._processor
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{label:<44} {wall:7.1f} s   processors {processor:7.1f} s   peak {peak:5.1f} GiB")
        self._wall, self._processor = time.perf_counter(), time.process_time()
        return wall


def main() -> None:
    """Check a small run, then time a large one."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    for size in (20_000, count):
        with tempfile.TemporaryDirectory() as folder:
            writer = get_context("spawn").Process(target=write_run, args=(size, Path(folder)))
            writer.start()
            writer.join()
            assert writer.exitcode == 0
            measure(Path(folder))


def measure(folder: Path) -> None:
    """Time and check the steps of an analysis."""
    watch = Watch()
    requests, blocks, segments = read_run(folder)
    watch.lap("  tables read, prompts laid out")
    shape = f"{len(segments.content):,} segments, {len(blocks):,} distinct blocks"
    print(f"{len(requests):,} requests, {shape}")
    prompts = read_prompts(requests, blocks, segments)
    total = watch.lap("  prompts into a tree")
    outcome = simulate_prefix(requests, blocks, PrefixPolicy(), sent=Sent(prompts))
    total += watch.lap("  one policy")
    reads = outcome.classes["cache_read_tokens"].to_numpy()
    assert (reads == np.load(folder / "reads.npy")).all()
    del outcome, reads
    watch.lap("  its reads are as expected")
    skeletons = system_templates(requests, blocks, prompts.segments)
    prefix_facts(requests, blocks, prompts=prompts, skeletons=skeletons, compare=False)
    total += watch.lap("  best markers, breakers, parts, agreement")
    print(f"  total {total:.1f} s of {LIMIT_S:.0f}")
    prefix_facts(requests, blocks, prompts=prompts, skeletons=skeletons)
    watch.lap("  the same with seven other rule sets")


if __name__ == "__main__":
    main()
