"""Time ingest against DuckDB on the same nested chat records, and watch its memory.

    python benchmarks/bench_ingest.py                      50, 150 and 500 MB on one and two cores
    python benchmarks/bench_ingest.py --mb 10240 --stream  a stream of 10 GB, memory only

DuckDB does less: `read` reads the fields that ingest keeps and sums them up; `store` writes them to
Parquet, each text once by its MD5. DuckDB doesn't count tokens, normalise or merge duplicates, and
it can't resume. `decode` is only the first step of ingest: it splits lines and decodes the fields
that DuckDB reads. First, all must return the same answers to the same questions. CPU seconds (CPU
s) vary least on a busy machine; the best of `--times` runs is shown. Only this file needs DuckDB:
pip install duckdb
"""

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

WORDS = """
the of and to in is you that it he was for on are as with his they at be this have from or one had
by word but not what all were we when your can said there use an each which she do how their if
will up other about out many then them these so some her would make like him into time has look two
more write go see number no way could people my than first water been call who oil its now find
long down day did get come made may part order invoice delivery address return refund payment
account customer shipping tracking parcel warranty policy exchange receipt discount subscription
cancel confirm update contact support question answer please thanks morning afternoon yesterday
tomorrow week month charge credit card bank transfer
""".split()  # noqa: SIM905
READ = """
SELECT count(*), count(DISTINCT r.request.model), sum(len(r.request.messages)),
       sum(list_sum(list_transform(r.request.messages, lambda m: length(m.content)))),
       sum(list_sum(list_transform(r.request.tools, lambda t: length(t.function.description)))),
       max(epoch_ms(r.timestamp)), sum(r.latency_ms), count(DISTINCT r.user), count(r.tenant),
       sum(r.response.usage.prompt_tokens), sum(r.response.usage.completion_tokens),
       sum(r.response.usage.prompt_tokens_details.cached_tokens),
       sum(length(r.response.choices[1].message.content)), count(r.response.id)
FROM read_json_auto('{path}', maximum_object_size=16777216) r
"""
STORE = """
CREATE TEMP TABLE r AS FROM read_json_auto('{path}', maximum_object_size=16777216);
COPY (SELECT r.timestamp, r.latency_ms, r.user, r.tenant, r.request.model, r.request.temperature,
             list_transform(r.request.messages, lambda m: {{'role': m.role, 'id': md5(m.content)}}),
             list_transform(r.request.tools, lambda t: md5(t::VARCHAR)), r.response.id,
             md5(r.response.choices[1].message.content), r.response.choices[1].finish_reason,
             r.response.usage
      FROM r ORDER BY r.timestamp) TO '{out}/requests.parquet' (COMPRESSION zstd);
COPY (SELECT md5(content) AS id, any_value(content) AS content
      FROM (SELECT unnest(list_transform(r.request.messages, lambda m: m.content)) AS content FROM r
            UNION ALL SELECT unnest(list_transform(r.request.tools, lambda t: t::VARCHAR)) FROM r
            UNION ALL SELECT r.response.choices[1].message.content FROM r)
      GROUP BY 1) TO '{out}/blocks.parquet' (COMPRESSION zstd);
"""


def text(chance: random.Random, size: int) -> str:
    """Return about `size` characters of random text."""
    return " ".join(chance.choices(WORDS, k=max(round(size / 5.6), 1)))


def records(size: int, seed: int = 7) -> Iterator[bytes]:
    """Yield lines of about 8 KB until `size` bytes: 20 system prompts, 8 tools, conversations."""
    chance = random.Random(seed)
    systems = [text(chance, 3_600) for _ in range(20)]
    tools = [
        {
            "type": "function",
            "function": {
                "name": f"tool_{n}",
                "description": text(chance, 140),
                "parameters": {"type": "object", "properties": {"id": {"type": "string"}}},
            },
        }
        for n in range(8)
    ]
    questions = [text(chance, 120) for _ in range(20_000)]
    made = number = 0
    while made < size:
        history: list[dict[str, str]] = [{"role": "system", "content": chance.choice(systems)}]
        for _ in range(6):  # one conversation of six turns
            history.append({"role": "user", "content": chance.choice(questions)})
            answer = text(chance, 320)
            line = json.dumps(record(number, history, tools, answer)).encode() + b"\n"
            history.append({"role": "assistant", "content": answer})
            made += len(line)
            number += 1
            yield line


def record(number: int, history: list[dict[str, str]], tools: Any, answer: str) -> dict[str, Any]:
    """Return one chat-completions request/response pair."""
    seconds = number % 86_400
    return {
        "timestamp": f"2026-10-{number // 86_400 % 28 + 1:02d}T{seconds // 3600:02d}:"
        f"{seconds // 60 % 60:02d}:{seconds % 60:02d}.000Z",
        "latency_ms": 900 + number % 700,
        "user": f"u-{number % 5000}",
        "tenant": f"t-{number % 40}",
        "request": {"model": "gpt-4o", "temperature": 0.2, "tools": tools, "messages": history},
        "response": {
            "id": f"chatcmpl-{number:012d}",
            "object": "chat.completion",
            "created": 1_793_610_847,
            "model": "gpt-4o-2024-08-06",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": answer},
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": 1900 + number % 300,
                "completion_tokens": 90,
                "total_tokens": 1990 + number % 300,
                "prompt_tokens_details": {"cached_tokens": 1024},
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
        },
    }


INGEST = """
import sys, time
from pathlib import Path
from costaudit.contracts.run_dir import RunDir
from costaudit.ingest import ingest as stage
from costaudit.ingest.content.tokenizer import Tokenizer
from costaudit.ingest.options import IngestOptions
from costaudit.ingest.staging.piece_writer import PieceWriter
from costaudit.progress import SilentProgress

def watched(owner, name, label):
    plain, spent[label] = getattr(owner, name), 0.0
    def timed(*told):
        since = time.process_time()
        try:
            return plain(*told)
        finally:
            spent[label] += time.process_time() - since
    setattr(owner, name, timed)

if __name__ == "__main__":
    spent = {"start": time.process_time()}
    watched(Tokenizer, "count_all", "tokens")
    watched(PieceWriter, "write", "pieces")
    watched(stage, "_read", "reading")
    watched(stage, "assemble", "tables")
    workers = int(sys.argv[2])
    stage.ingest(sys.argv[3:], RunDir(Path(sys.argv[1])), IngestOptions(workers=workers),
                 SilentProgress())
    spent["reading"] -= spent["pieces"]
    spent["pieces"] -= spent["tokens"]
    print("CPU s of this process:", ", ".join(f"{k} {v:.2f}" for k, v in spent.items()))
"""


DECODE = """
import gc
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
import msgspec
from costaudit.ingest.files.records import line_blocks

class Content(msgspec.Struct, gc=False):
    content: str

class Function(msgspec.Struct, gc=False):
    description: str

class Tool(msgspec.Struct, gc=False):
    function: Function

class Request(msgspec.Struct, gc=False):
    model: str
    messages: list[Content]
    tools: list[Tool]

class Cached(msgspec.Struct, gc=False):
    cached_tokens: int

class Usage(msgspec.Struct, gc=False):
    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_details: Cached

class Choice(msgspec.Struct, gc=False):
    message: Content

class Response(msgspec.Struct, gc=False):
    id: str
    choices: list[Choice]
    usage: Usage

class Pair(msgspec.Struct, gc=False):
    timestamp: datetime
    latency_ms: float
    user: str
    tenant: str
    request: Request
    response: Response

gc.disable()
count = messages = chars = described = prompt = completion = cached = answered = ids = 0
latency, latest, models, users, tenants = 0.0, None, set(), set(), 0
decode = msgspec.json.Decoder(Pair).decode_lines
with Path(sys.argv[1]).open("rb") as file:
    for lines in line_blocks(iter(lambda: file.read(256 << 10), b""), 0):
        for pair in decode(lines.text):
            count += 1
            models.add(pair.request.model)
            messages += len(pair.request.messages)
            chars += sum([len(message.content) for message in pair.request.messages])
            described += sum([len(tool.function.description) for tool in pair.request.tools])
            latest = pair.timestamp if latest is None else max(latest, pair.timestamp)
            latency += pair.latency_ms
            users.add(pair.user)
            tenants += pair.tenant is not None
            usage = pair.response.usage
            prompt += usage.prompt_tokens
            completion += usage.completion_tokens
            cached += usage.prompt_tokens_details.cached_tokens
            answered += len(pair.response.choices[0].message.content)
            ids += pair.response.id is not None
latest_ms = round(latest.timestamp() * 1000)
print([count, len(models), messages, chars, described, latest_ms, latency, len(users), tenants,
       prompt, completion, cached, answered, ids])
"""


class Run(NamedTuple):
    """The resources that a command used."""

    seconds: float
    cpu_seconds: float  # of all its processes; nearly unaffected by other work on the machine
    peak_mb: float  # peak resident memory of its largest process
    output: str


def measure(command: list[str]) -> Run:
    """Run a command, and measure it from start to end."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    assert status == 0, command
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(seconds, cpu, used.ru_maxrss / 1024, output.strip())


def duckdb_code(query: str, cores: int) -> str:
    """Return a program that runs a query on a number of cores."""
    quiet = f"SET threads={cores}; SET enable_progress_bar=false"
    return f"import duckdb; duckdb.execute({quiet!r}); duckdb.execute({query!r}).fetchall()"


def check_answers(path: Path, run: Path) -> None:
    """Check that DuckDB on the log and Polars on the run return the same answers."""
    import duckdb
    import polars as pl

    rows = pl.read_parquet(run / "requests.parquet")
    blocks = pl.read_parquet(run / "blocks.parquet")
    described = pl.col("text").str.json_path_match("$.description").str.len_chars()
    is_tool = pl.col("kind") == "tool_definition"
    chars = blocks.select("block_id", chars=pl.when(is_tool).then(described).otherwise("chars"))
    parts = rows.select(pl.col("segments").explode()).unnest("segments").join(chars, on="block_id")
    messages = parts.filter(pl.col("role") != "tools")
    sent = pl.sum_horizontal("input_uncached_tokens", "cache_read_tokens")
    answers = rows.join(chars, left_on="answer_id", right_on="block_id")
    ours = (
        len(rows),
        rows["model"].n_unique(),
        len(messages),
        messages["chars"].sum(),
        parts.filter(pl.col("role") == "tools")["chars"].sum(),
        rows["ts"].dt.epoch("ms").max(),
        rows["latency_ms"].sum(),
        rows["user"].n_unique(),
        rows["tenant"].count(),
        rows.select(sent.sum()).item(),
        rows["output_tokens"].sum(),
        rows["cache_read_tokens"].sum(),
        answers["chars"].sum(),
        rows["native_id"].count(),
    )
    theirs = duckdb.execute(READ.format(path=path)).fetchone()
    assert ours == theirs, (ours, theirs)
    decoded = measure([sys.executable, "-c", DECODE, str(path)]).output
    assert tuple(json.loads(decoded)) == theirs, (decoded, theirs)


def compare(path: Path, folder: Path, workers: list[int], times: int) -> None:
    """Print one line for each way of reading the file."""
    size = path.stat().st_size / 1e6
    lines = sum(1 for _ in path.open("rb"))
    script, run, stored = folder / "ingest_once.py", folder / "run", folder / "stored"
    script.write_text(INGEST)
    stored.mkdir(exist_ok=True)
    shutil.rmtree(run, ignore_errors=True)
    measure([sys.executable, str(script), str(run), "1", str(path)])
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:  # a fork would inherit peak memory
        pool.submit(check_answers, path, run).result()
    tables = sum(p.stat().st_size for p in run.glob("*.parquet")) / 1e6
    print(f"\n{size:.0f} MB, {lines} records of {size / lines * 1e3:.1f} KB; the answers agree;")
    print(f"Parquet {tables:.1f} MB, 1/{size / tables:.0f} of the JSON")
    print(f"{'':24}{'wall s':>8}{'MB/s':>7}{'rows/s':>8}{'CPU s':>8}{'MB/CPU s':>10}{'peak MB':>9}")
    for count in workers:
        ways = {
            "ingest": [str(script), str(run), str(count), str(path)],
            "decode": ["-c", DECODE, str(path)],
            "DuckDB read": ["-c", duckdb_code(READ.format(path=path), count)],
            "DuckDB store": ["-c", duckdb_code(STORE.format(path=path, out=stored), count)],
        }
        if count > 1:
            del ways["decode"]  # it uses one core only
        for name, told in ways.items():
            found = []
            for _ in range(times):
                if name == "ingest":
                    shutil.rmtree(run, ignore_errors=True)
                found.append(measure([sys.executable, *told]))
            best = min(found, key=lambda each: each.cpu_seconds)
            print(
                f"{f'{name}, {count} core(s)':24}{best.seconds:8.1f}{size / best.seconds:7.0f}"
                f"{lines / best.seconds:8.0f}{best.cpu_seconds:8.1f}"
                f"{size / best.cpu_seconds:10.0f}{best.peak_mb:9.0f}"
            )
            if name == "ingest":
                print("   ", best.output)


def stream(size: int, folder: Path) -> None:
    """Pipe records into ingest without storing them, and print its peak memory."""
    script = folder / "ingest_once.py"
    script.write_text(INGEST)
    command = [sys.executable, str(script), str(folder / "run"), "1", "-"]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert process.stdin is not None
    for line in records(size):
        process.stdin.write(line)
    process.stdin.close()
    process.wait()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(
        f"{size / 1e6:.0f} MB streamed in {time.perf_counter() - started:.0f} s, peak {peak:.0f} MB"
    )


def main() -> None:
    """Generate the files, measure, and clean up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, nargs="*", default=[50, 150, 500])
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--dir", type=Path, default=None, help="where to work; default temporary")
    told = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="costaudit-bench-", dir=told.dir))
    try:
        if told.stream:
            stream(max(told.mb) << 20, folder)
            return
        path = folder / "chat.jsonl"
        for size in sorted(told.mb):
            with path.open("wb") as file:
                file.writelines(records(size << 20))
            compare(path, folder, told.workers, told.times)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
