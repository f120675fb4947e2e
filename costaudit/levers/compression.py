"""Shorten long texts of prompts with a model such as LLMLingua-2, which drops the idlest words."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.ledger import Suggestion
from costaudit.engine.hub import ModelNotFoundError, model_folder
from costaudit.errors import BackendError, UsageError
from costaudit.levers.effects import endpoints

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LEAST_WORDS = 150  # a shorter text is left as it is
LAST_WORDS = 50  # of each text; the question is often there
LONG_TOKENS = 1_000  # mean tokens of a call's long texts from which a trial is worth it
MOSTLY = 0.5  # share of an endpoint's input tokens that are images
LEAST_CALLS = 100  # of an endpoint and model
_AT_ONCE = 200  # words that the model reads together
_WORD = re.compile(r"\S+\s*")
_KEPT = re.compile(r"[\d\n]")  # numbers, and the ends of lines


@dataclass(frozen=True)
class Compressor:
    """A token classifier from a folder, or the Hugging Face hub, that says which words to keep."""

    model: str
    keep: float  # share of the words of a long text

    def compressed(self, text: str) -> str:
        """Return a text without the words that matter least; raises BackendError.

        Numbers, ends of lines and the last words stay, and so do texts that are short.
        """
        words = _WORD.findall(text)
        if len(words) < LEAST_WORDS:
            return text
        head, tail = words[:-LAST_WORDS], words[-LAST_WORDS:]
        score = np.concatenate(
            [self._scores(head[at : at + _AT_ONCE]) for at in range(0, len(head), _AT_ONCE)]
        )
        score[[bool(_KEPT.search(one)) for one in head]] = np.inf
        many = int(np.ceil(self.keep * len(head)))
        kept = np.sort(np.argsort(-score, kind="stable")[:many])
        kept = np.union1d(kept, np.flatnonzero(np.isinf(score)))
        start = text[: len(text) - len(text.lstrip())]
        return start + "".join([*(head[i] for i in kept), *tail])

    def _scores(self, words: list[str]) -> npt.NDArray[np.float64]:
        """Return each word's chance to be kept: the mean over its tokens."""
        import torch

        lock, tokenizer, model = self._loaded
        with lock, torch.no_grad():
            read = tokenizer(
                [one.strip() for one in words], is_split_into_words=True, truncation=True,
                return_tensors="pt",
            )  # fmt: skip
            chance = model(**read).logits[0].softmax(-1)[:, 1].double().numpy()
        place = np.array([-1 if one is None else one for one in read.word_ids(0)])
        seen = place >= 0
        many = np.bincount(place[seen], minlength=len(words))
        total = np.bincount(place[seen], chance[seen], minlength=len(words))
        # What the model can't read at once is kept.
        return np.where(many > 0, total / np.maximum(many, 1), np.inf)

    @cached_property
    def _loaded(self) -> "tuple[Lock, Any, PreTrainedModel]":
        from transformers import AutoModelForTokenClassification, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            folder = Path(model_folder(self.model))
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = AutoModelForTokenClassification.from_pretrained(
                folder, local_files_only=True, use_safetensors=True
            )
        except (ModelNotFoundError, OSError, ValueError) as error:
            raise BackendError(
                f"{self.model} can't be loaded as a model that compresses: {error}",
                hint="Name the folder of a token classifier such as LLMLingua-2, with its "
                "safetensors and its tokenizer.",
            ) from None
        if model.config.num_labels != 2:
            raise UsageError(
                f"{self.model} is not a model that compresses: it has {model.config.num_labels} "
                "labels instead of drop and keep.",
                hint="Name the folder of a token classifier such as LLMLingua-2.",
            )
        model.eval()
        return Lock(), tokenizer, model


def large_images(requests: pl.DataFrame, segments: pl.DataFrame) -> Suggestion | None:
    """Return endpoints whose input is mostly images; None without any.

    segments: from `placed_segments`.
    """
    units = segments.group_by("unit").agg(
        calls=pl.col("row").n_unique(),
        images=pl.col("tokens").filter(pl.col("kind") == "image").sum(),
        tokens=pl.col("tokens").sum(),
    )
    found = units.filter(
        (pl.col("calls") >= LEAST_CALLS) & (pl.col("images") >= MOSTLY * pl.col("tokens"))
    ).sort("unit")
    if found.is_empty():
        return None
    share = int(found["images"].sum()) / int(found["tokens"].sum())
    return Suggestion(
        lever="image_detail",
        label="Smaller images",
        requests=int(found["calls"].sum()),
        why=(
            f"{share:.0%} of the input of {endpoints(found['unit'])} is images; whether fewer "
            "pixels would do is not in the log."
        ),
        test=(
            "Send a tenth of them with detail low, or at half the width, for a day, and look at "
            "what changed: `costaudit compare BEFORE AFTER`."
        ),
    )


def long_prompts(requests: pl.DataFrame, segments: pl.DataFrame) -> Suggestion | None:
    """Return endpoints whose calls bring long texts that the cache does not read; None without.

    segments: from `placed_segments`. A text counts with the tokens behind the cached prefix, since
    compressing a prefix that is read at a tenth of the price breaks more than it saves.
    """
    read = requests.select(
        pl.int_range(pl.len()).alias("row"), read=pl.col("cache_read_tokens").fill_null(0)
    )
    texts = segments.filter(
        pl.col("role").is_in(["user", "tool"]) & pl.col("kind").is_in(["text", "tool_result"])
    ).join(read, on="row", how="left")
    fresh = (pl.col("start") + pl.col("tokens") - pl.max_horizontal("start", "read")).clip(0)
    long = texts.filter(pl.col("tokens") >= LEAST_WORDS).with_columns(fresh=fresh)
    sent = segments.group_by("unit").agg(calls=pl.col("row").n_unique())
    found = (
        long.group_by("unit").agg(fresh=pl.col("fresh").sum())
        .join(sent, on="unit")
        .filter(
            (pl.col("calls") >= LEAST_CALLS) & (pl.col("fresh") >= LONG_TOKENS * pl.col("calls"))
        )
        .sort("unit")
    )  # fmt: skip
    if found.is_empty():
        return None
    mean = int(found["fresh"].sum()) // int(found["calls"].sum())
    model = str(found["unit"][0]).partition(" | ")[2]
    return Suggestion(
        lever="compression",
        label="Compression of long texts in prompts",
        requests=int(found["calls"].sum()),
        why=(
            f"Calls of {endpoints(found['unit'])} bring {mean:,} tokens of long texts on average "
            "that the prompt cache does not read; whether a shorter text would do is not in the "
            "log."
        ),
        test=(
            "Try it on a sample, with a model such as LLMLingua-2 on this machine: `costaudit "
            f"route RUN --candidate 'openai:{model}?compress=FOLDER&keep=0.5'`."
        ),
    )
