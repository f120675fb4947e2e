"""Measure each verb on a log of a million short requests: CPU time and peak memory.

Run `python -m benchmarks.bench_million [--requests 1000000] [--dir DIR] [--verbs ingest,spend]`.
The log is made up: most questions are asked once or a few times, some very often, as Zipf's law has
it, and each has an answer of its own. Its requests and tokens are counted while it is written, and
compared with what `spend` reports before its time counts. The log and its run directory stay in
`--dir`, so that a verb can be measured again.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.bench_analyze import Run, timed

MODEL = "gpt-4o-mini-2024-07-18"
SYSTEM = "You answer customers of a shop. Be brief, be kind, and say so when you don't know."
WORDS = """
    order parcel refund card account delivery voucher invoice return size colour price stock
    address payment discount password message shop basket item label driver store week day
    change cancel find track open close send lose break replace check update pay wait ask
"""
VERBS: dict[str, tuple[str, ...]] = {
    "ingest": ("{log}", "--out", "{run}"),
    "spend": ("{run}", "--format", "json"),
    "forecast": ("{run}",),
    "prefix": ("{run}",),
    "levers": ("{run}",),
    "sweep": ("{run}", "--sample", "2%"),
    "clusters": ("{run}", "--sample", "2%"),
    "analyze": ("{run}", "--budget", "10m"),
}


def questions(many: int, chance: np.random.Generator) -> list[str]:
    """Return different questions of eight to fourteen words."""
    words = np.array(WORDS.split())
    drawn = words[chance.integers(0, len(words), (many, 14))]
    lengths = chance.integers(8, 15, many)
    return [
        f"how do i {' '.join(row[:length])} {place}?"
        for place, (row, length) in enumerate(zip(drawn, lengths, strict=True))
    ]


def write_log(path: Path, requests: int, seed: int = 0) -> dict[str, int]:
    """Write the log; return its number of requests, of different questions, and its tokens."""
    chance = np.random.default_rng(seed)
    pool = requests * 5 // 4
    weights = 1 / np.arange(1, pool + 1) ** 0.55
    asked = chance.choice(pool, requests, p=weights / weights.sum())
    ids, place = np.unique(asked, return_inverse=True)
    texts = questions(len(ids), chance)
    seconds = np.sort(chance.integers(0, 30 * 86_400, requests)) + 1_790_812_800
    users = chance.integers(0, 20_000, requests)
    inputs, outputs = chance.integers(40, 60, requests), chance.integers(15, 40, requests)
    with path.open("w", encoding="utf-8") as file:
        for number in range(requests):
            text = texts[place[number]]
            record = {
                "request_id": f"r{number}",
                "timestamp": int(seconds[number]),
                "endpoint": "/chat",
                "user": f"u{users[number]}",
                "request": {
                    "model": MODEL,
                    "messages": [
                        {"role": "system", "content": SYSTEM},
                        {"role": "user", "content": text},
                    ],
                },
                "response": {
                    "model": MODEL,
                    "choices": [
                        {
                            "message": {"role": "assistant", "content": f"Yes: {text[9:60]}."},
                            "finish_reason": "stop",
                        }
                    ],
                    "usage": {
                        "prompt_tokens": int(inputs[number]),
                        "completion_tokens": int(outputs[number]),
                    },
                },
            }
            file.write(json.dumps(record) + "\n")
    return {
        "requests": requests,
        "questions": len(ids),
        "input": int(inputs.sum()),
        "output": int(outputs.sum()),
    }


def check(verb: str, run: Run, truth: dict[str, int]) -> None:
    """Fail unless a verb's result has the tokens of the log."""
    if verb == "spend":
        told = run.out.decode()
        for name in ("requests", "input", "output"):
            assert str(truth[name]) in told, (name, truth[name])


def main() -> None:
    """Write the log once, run each verb, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--dir", type=Path, default=None, help="where to work; default temporary")
    parser.add_argument("--verbs", default=",".join(VERBS))
    told = parser.parse_args()
    folder = told.dir or Path(tempfile.mkdtemp(prefix="costaudit-million-"))
    log, counts = folder / "log.jsonl", folder / "truth.json"
    if not counts.exists():
        counts.write_text(json.dumps(write_log(log, told.requests)))
    truth = json.loads(counts.read_text())
    print(f"{truth}, {log.stat().st_size / 1e6:.0f} MB\n")
    print("| verb | wall s | CPU s | peak MB |\n|---|--:|--:|--:|")
    for verb in told.verbs.split(","):
        started = time.strftime("%H:%M")
        options = [one.format(log=log, run=folder / "run") for one in VERBS[verb]]
        run = timed(verb, *options)
        (folder / f"{verb}.out").write_bytes(run.out)
        (folder / f"{verb}.err").write_text(run.err)
        check(verb, run, truth)
        print(
            f"| `{verb}` ({started}) | {run.wall_s:.0f} | {run.cpu_s:.0f} "
            f"| {run.peak_bytes / 1e6:,.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
