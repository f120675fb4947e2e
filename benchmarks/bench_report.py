"""Measure how long the page of a large log takes, and how large it is.

`python benchmarks/bench_report.py [REQUESTS] [--endpoints N] [--chars N]` writes a log of chats
(1,000,000), audits it, and then times `costaudit report RUN` alone. `--endpoints` spreads the
requests over as many endpoints (20), and `--chars` is the length of one long prompt. It fails if
the page is larger than 5 MB or lacks the audit's spend.
"""

import argparse
import json
import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
from bench_analyze import timed

MOST_BYTES = 5_000_000
DAYS = 30
START = datetime(2026, 10, 1, tzinfo=UTC)
SYSTEM = "You are the assistant of a shop. Be brief, be kind, and name the page of the manual."


def write_log(path: Path, requests: int, endpoints: int, chars: int) -> None:
    """Write chats about as many orders as half of the requests; the first prompt is long."""
    rng = np.random.default_rng(0)
    orders = rng.integers(0, max(requests // 2, 1), requests).tolist()
    step = timedelta(days=DAYS) / requests
    with path.open("w", encoding="utf-8") as file:
        for number, order in enumerate(orders):
            question = f"Where is order {order}?" if number else "Where? ".ljust(chars, "x")
            file.write(json.dumps(record(number, question, endpoints, START + step * number)))
            file.write("\n")


def record(number: int, question: str, endpoints: int, at: datetime) -> dict[str, object]:
    """Return a chat of gpt-4o with its answer."""
    model = "gpt-4o"
    tokens = 30 + len(question) // 4
    return {
        "timestamp": at.isoformat(),
        "endpoint": f"/v1/endpoint/{number % endpoints}",
        "tenant": f"t{number % 50}",
        "user": f"u{number % 5_000}",
        "latency_ms": 400 + number % 1_000,
        "request": {
            "model": model,
            "temperature": 0,
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": question},
            ],
        },
        "response": {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion",
            "model": model,
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": f"See page {len(question)}."},
                }
            ],
            "usage": {
                "prompt_tokens": tokens,
                "completion_tokens": 20,
                "total_tokens": tokens + 20,
            },
        },
    }


def main() -> None:
    """Make the audit, check the page, and print its time and size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("requests", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--endpoints", type=int, default=20)
    parser.add_argument("--chars", type=int, default=20)
    parser.add_argument("--budget", default="1m", help="time for analyze, which then samples")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        log, run, page = Path(name) / "log.jsonl", Path(name) / "run", Path(name) / "page.html"
        write_log(log, asked.requests, asked.endpoints, asked.chars)
        made = timed("analyze", str(log), "--out", str(run), "--budget", asked.budget, "-q")
        print(f"analyze: {made.cpu_s:.1f} s CPU, peak {made.peak_bytes / 1e9:.2f} GB")
        audit = json.loads((run / "audit.json").read_text("utf-8"))
        assert audit["quality"]["kept"] == asked.requests
        total = sum((Decimal(row["cost"]["total_usd"]) for row in audit["spend"]["by"]["endpoint"]),
                    Decimal(0))  # fmt: skip
        assert total == Decimal(audit["spend"]["total"]["total_usd"])
        told = timed("report", str(run), "--format", "html", "--out", str(page))
        size = page.stat().st_size
        print(
            f"{asked.requests:,} requests, {asked.endpoints:,} endpoints: report {told.wall_s:.1f} "
            f"s wall, {told.cpu_s:.1f} s CPU, peak {told.peak_bytes / 1e9:.2f} GB; page "
            f"{size / 1e6:.2f} MB; audit.json {(run / 'audit.json').stat().st_size / 1e6:.2f} MB"
        )
        text = page.read_text("utf-8")
        assert size <= MOST_BYTES, f"{size:,} bytes"
        assert f"{asked.requests:,}" in text
        assert "costaudit-data" in text


if __name__ == "__main__":
    main()
