"""Measure texts embedded per second, the limit set by the CPU's arithmetic, and vector accuracy.

The reference is sentence-transformers in float32. The operations per second of each model are
compared with the rate of large float32 matrix products on all cores in the same run. All of them
take turns, and each one's best turn counts, so that other work on the machine affects them equally.
Run `python benchmarks/bench_embed.py [TEXTS] [--turns N]`. BANKING77 is read from
$COSTAUDIT_DATA, or from shared/data beside the repository.
"""

import argparse
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl

from costaudit.embed.embedder import Embedder
from costaudit.embed.minilm import INNER, LAYERS, WIDTH, FastMiniLM, MiniLM, packaged_model
from costaudit.embed.store import VectorStore, embed_texts
from costaudit.embed.words import word_vectors
from costaudit.engine.pool import default_workers

LEAST_COSINE = {"f32": 1 - 1e-5, "bf16": 1 - 1e-4}  # to sentence-transformers' float32
SIDE = 1_536  # rows and columns of the matrices whose products are timed


def questions(count: int) -> list[str]:
    """Return BANKING77's questions, in the order of the file."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("COSTAUDIT_DATA", beside)) / "banking77"
    texts = pl.read_csv(folder / "train.csv")["text"].unique(maintain_order=True)
    return texts[:count].to_list()


class Published:
    """The model as sentence-transformers runs it: one batch on all cores."""

    def __init__(self) -> None:
        os.environ["HF_HUB_OFFLINE"] = "1"
        from sentence_transformers import SentenceTransformer

        self._model = SentenceTransformer(
            str(packaged_model()), device="cpu", local_files_only=True
        )

    def embedded(self, texts: list[str]) -> tuple[float, np.ndarray]:
        """Embed texts; return the seconds and the vectors."""
        import torch

        torch.set_num_threads(default_workers())  # the built-in model uses one thread per batch
        start = time.perf_counter()
        vectors = self._model.encode(texts, batch_size=64, normalize_embeddings=True)
        spent = time.perf_counter() - start
        torch.set_num_threads(1)
        return spent, np.asarray(vectors)


def embedded(texts: list[str], model: Embedder) -> tuple[float, np.ndarray]:
    """Embed into an empty store; return the seconds and the vectors."""
    frame = pl.DataFrame({"text_id": texts, "text": texts})
    with tempfile.TemporaryDirectory() as folder:
        store = VectorStore(
            Path(folder), model.spec.name, model.spec.revision, model.spec.dimensions
        )
        done = embed_texts(frame, model, store)
        assert embed_texts(frame, model, store).embedded_now == 0
    return done.seconds, done.vectors


def operations(counts: np.ndarray) -> float:
    """Return the multiplications and additions for texts of `counts` tokens, without padding."""
    weights = LAYERS * (4 * WIDTH * WIDTH + 2 * WIDTH * INNER)  # attention's four, and the two wide
    attention = 2 * LAYERS * WIDTH * (counts.astype(float) ** 2).sum()  # with keys, with values
    return 2.0 * (weights * float(counts.sum()) + float(attention))


def product_rate() -> float:
    """Return the rate of float32 matrix products on all cores at once, in operations per second."""
    import torch

    torch.set_num_threads(1)
    products = 4 * default_workers()
    square = torch.rand(SIDE, SIDE)
    with ThreadPoolExecutor(default_workers()) as pool:
        start = time.perf_counter()
        list(pool.map(lambda _: square @ square, range(products)))
        return products * 2 * SIDE**3 / (time.perf_counter() - start)


def main() -> None:
    """Time sentence-transformers, our two models, large products and the cheap embedding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", nargs="?", type=int, default=1_500)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    texts = questions(options.texts)
    published, models = Published(), (MiniLM(device="cpu"), FastMiniLM())
    published.embedded(texts[:8])
    for model in models:
        start = time.perf_counter()
        model.encode(texts[:8])
        print(f"{model.name} loaded in {time.perf_counter() - start:.2f} s, its libraries aside")
    rates, reference_s, taken = [product_rate()], [], [[], []]
    for _ in range(options.turns):
        rates.append(product_rate())
        spent, reference = published.embedded(texts)
        reference_s.append(spent)
        for model, times in zip(models, taken, strict=True):
            spent, vectors = embedded(texts, model)
            times.append(spent)
            cosine = float((vectors * reference).sum(axis=1).min())
            least = LEAST_COSINE[precision_of(model)]
            assert cosine >= least, f"{model.name}: cosine {cosine:.6f}"
    counts = np.minimum(models[0].token_counts(texts), models[0].spec.max_tokens)
    work, rate, slow = operations(counts), max(rates), min(reference_s)
    print(
        f"{len(texts):,} texts of {counts.mean():.1f} tokens, {work / counts.sum() / 1e6:.1f} "
        f"million operations a token; float32 products do {rate / 1e9:.0f} thousand million a "
        f"second, enough for {len(texts) * rate / work:,.0f} texts\n"
        f"sentence-transformers: {len(texts) / slow:.0f}/s, {work / slow / rate:.0%} of the "
        f"products' rate; no float32 can be more than {slow * rate / work:.2f} times as quick"
    )
    for model, times in zip(models, taken, strict=True):
        best = min(times)
        print(
            f"{model.name} ({precision_of(model)}): {len(texts) / best:.0f}/s, {slow / best:.2f} "
            f"times, {work / best / rate:.0%} of the products' rate; cosine to "
            f"sentence-transformers at least {LEAST_COSINE[precision_of(model)]}"
        )
    start = time.perf_counter()
    word_vectors(texts)
    cheap_s = time.perf_counter() - start
    print(f"word vectors: {len(texts) / cheap_s:.0f}/s, loading the table included")


def precision_of(model: MiniLM) -> str:
    """Return the name of the precision that a model multiplies in."""
    return model.precision if isinstance(model, FastMiniLM) else "f32"


if __name__ == "__main__":
    main()
