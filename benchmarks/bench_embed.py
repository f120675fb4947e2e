"""Texts embedded per second, and how far vectors are from sentence-transformers' own.

Run `python benchmarks/bench_embed.py [TEXTS]`. BANKING77 is looked for in $COSTAUDIT_DATA or
shared/data beside the repository.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from costaudit.embed.minilm import MiniLM, packaged_model
from costaudit.embed.run import embed_texts
from costaudit.embed.store import VectorStore
from costaudit.embed.words import word_vectors


def questions(count: int) -> list[str]:
    """Read BANKING77's questions, in the order of the file."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("COSTAUDIT_DATA", beside)) / "banking77"
    texts = pl.read_csv(folder / "train.csv")["text"].unique(maintain_order=True)
    return texts[:count].to_list()


def published(texts: list[str]) -> tuple[float, np.ndarray]:
    """Embed with sentence-transformers; gives the seconds without loading, and the vectors."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(packaged_model()), device="cpu", local_files_only=True)
    model.encode(texts[:8])
    start = time.perf_counter()
    vectors = model.encode(texts, batch_size=64, normalize_embeddings=True)
    return time.perf_counter() - start, np.asarray(vectors)


def main() -> None:
    """Time sentence-transformers, the built-in embedder, a second run and the cheap embedding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", nargs="?", type=int, default=1_500)
    texts = questions(parser.parse_args().texts)
    frame = pl.DataFrame({"text_id": texts, "text": texts})
    reference_s, reference = published(texts)  # first: the built-in one limits torch's threads
    start = time.perf_counter()
    model = MiniLM()
    model.encode(texts[:8])
    print(f"built-in model loaded in {time.perf_counter() - start:.2f} s, torch aside")
    with tempfile.TemporaryDirectory() as folder:
        store = VectorStore(Path(folder), model.name, model.revision, model.dimensions)
        done = embed_texts(frame, model, store)
        start = time.perf_counter()
        again = embed_texts(frame, model, store)
        again_s = time.perf_counter() - start
    similarity = (done.vectors * reference).sum(axis=1)
    start = time.perf_counter()
    word_vectors(texts)
    cheap_s = time.perf_counter() - start
    print(
        f"{len(texts):,} texts, {done.tokens_now:,} tokens\n"
        f"sentence-transformers: {len(texts) / reference_s:.0f}/s\n"
        f"built in: {len(texts) / done.seconds:.0f}/s, {reference_s / done.seconds:.2f} times; "
        f"cosine to the former at least {similarity.min():.6f}\n"
        f"second run: {again.embedded_now} embedded, {again_s:.3f} s\n"
        f"word vectors: {len(texts) / cheap_s:.0f}/s, loading the table included"
    )


if __name__ == "__main__":
    main()
