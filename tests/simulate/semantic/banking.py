"""Streams of BANKING77 questions, if the data set is available."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from costaudit.embed.minilm import MiniLM
from costaudit.embed.store import VectorStore, embed_texts

ROOT = Path(__file__).parents[3]
WEEK_S = 7 * 86_400.0


def data_folder() -> Path:
    """Return the data's folder in $COSTAUDIT_DATA or ../shared/data; skip the test without it."""
    named = os.environ.get("COSTAUDIT_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not (folder / "banking77" / "train.csv").is_file():
        pytest.skip(f"BANKING77 is not in {folder}; set COSTAUDIT_DATA to the folder that holds it")
    return folder / "banking77"


@cache
def questions() -> pl.DataFrame:
    """Return all distinct questions: text_id, text, intent."""
    parts = [pl.read_csv(data_folder() / f"{name}.csv") for name in ("train", "test")]
    frame = pl.concat(parts).unique("text", maintain_order=True)
    ids = [f"{place:032x}" for place in range(len(frame))]
    return frame.select(pl.Series("text_id", ids), "text", intent="category")


def embedded(texts: pl.DataFrame, folder: Path) -> np.ndarray:
    """Embed questions with the default model, storing the vectors in `folder`."""
    model = MiniLM()
    store = VectorStore(folder, model.name, model.revision, model.dimensions)
    return embed_texts(texts, model, store).vectors


def zipf(count: int, requests: int, exponent: float, rng: np.random.Generator) -> np.ndarray:
    """Draw row numbers whose popularity follows a power law over random ranks."""
    weights = np.arange(1, count + 1) ** -exponent
    return rng.permutation(count)[rng.choice(count, requests, p=weights / weights.sum())]
