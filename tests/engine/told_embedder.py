"""An embedder that tells which processes load it, and which encode, with what accelerators."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from costaudit.embed.embedder import EmbedderSpec


class Told:
    """Encodes a text as the direction of its length; two texts fill a batch."""

    spec = EmbedderSpec("told", "1", 2, 1_024)

    def __init__(self, folder: str) -> None:
        self._told = Path(folder) / "told"
        self._tell("load", "")

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        return np.full(len(texts), 1_024, np.int32)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        import ray

        time.sleep(0.05)
        found = ray.get_runtime_context().get_accelerator_ids()
        self._tell("encode", ",".join(found.get("GPU", ())))
        angle = np.array([len(text) for text in texts], np.float32)
        return np.column_stack([np.cos(angle), np.sin(angle)])

    def _tell(self, what: str, accelerators: str) -> None:
        with self._told.open("a") as file:
            file.write(f"{what} {os.getpid()} {accelerators}\n")
