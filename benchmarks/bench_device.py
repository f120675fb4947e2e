"""Compare an accelerator with the CPU: texts embedded per second, and a sweep of 30 thresholds.

Run `python benchmarks/bench_device.py [--device NAME]`. Without an accelerator nothing is timed,
unless a torch device is named: `--device cpu` runs the accelerator's code on the CPU. BANKING77 is
read from $COSTAUDIT_DATA, or from shared/data beside the repository. Before a ratio is printed,
vectors must agree to 1e-5 and all decisions must be equal.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from bench_semantic import dense, policies, questions, stream_of, synthetic, timed

from costaudit.embed.minilm import MiniLM
from costaudit.embed.store import Embedded, VectorStore, embed_texts
from costaudit.engine.device import VARIABLE, accelerator
from costaudit.simulate.semantic.division import Search
from costaudit.simulate.semantic.pairs import whole_bounds
from costaudit.simulate.semantic.sweep import sweep


def embedded(texts: pl.DataFrame, device: str) -> Embedded:
    """Embed texts on a torch device, with the model already loaded and nothing stored."""
    model = MiniLM(device=device)
    model.encode(texts["text"].head(8).to_list())
    with tempfile.TemporaryDirectory() as folder:
        store = VectorStore(Path(folder), model.name, model.revision, model.dimensions)
        return embed_texts(texts, model, store)


def embedding(device: str, count: int) -> np.ndarray:
    """Print how long embedding takes on the CPU and on the device; return the vectors."""
    text = questions()["text"].head(count)
    texts = pl.DataFrame({"text_id": text, "text": text})
    here, there = embedded(texts, "cpu"), embedded(texts, device)
    apart = float(np.abs(here.vectors - there.vectors).max())
    assert apart <= 1e-5, f"vectors are {apart:.1e} apart"
    print(
        f"embedding of {len(texts):,} questions: processor {len(texts) / here.seconds:,.0f}/s, "
        f"{device} {len(texts) / there.seconds:,.0f}/s, {here.seconds / there.seconds:.1f} times; "
        f"vectors at most {apart:.1e} apart"
    )
    return here.vectors


def sweeping(name: str, device: str, vectors: np.ndarray, repeat: int) -> None:
    """Print how long a sweep over distinct texts takes on both."""
    stream, vectors = stream_of(np.arange(len(vectors)), vectors, seed=1)
    warm, few = stream_of(np.arange(100), vectors, seed=1)
    sweep(warm, few, policies(), search=Search(bounds=whole_bounds(few, device)))
    sweep(warm, few, policies())
    here_s, here = timed(lambda: sweep(stream, vectors, policies()), repeat)
    there_s, there = timed(
        lambda: sweep(
            stream, vectors, policies(), search=Search(bounds=whole_bounds(vectors, device))
        ),
        repeat,
    )
    assert np.array_equal(here.served, there.served), "decisions differ"
    assert np.array_equal(here.similarity, there.similarity, equal_nan=True), "similarities differ"
    print(
        f"sweep of 30 over {len(vectors):,} {name} texts: processor {here_s:.2f} s, "
        f"{device} {there_s:.2f} s, {here_s / there_s:.1f} times; all "
        f"{here.served.size:,} decisions are the same"
    )


def main() -> None:
    """Run the comparison if there is a device to compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", help="a name of torch's; left out: the accelerator")
    parser.add_argument("--questions", type=int, default=13_083)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=1)
    options = parser.parse_args()
    device = options.device or accelerator()
    if device is None:
        print("There is no accelerator that torch can use here: nothing was timed.")
        return
    os.environ[VARIABLE] = "cpu"  # work without an explicit device runs on the CPU
    vectors = embedding(device, options.questions)
    sweeping("synthetic", device, synthetic(options.texts), options.repeat)
    sweeping("dense", device, dense(vectors, options.texts), options.repeat)


if __name__ == "__main__":
    main()
