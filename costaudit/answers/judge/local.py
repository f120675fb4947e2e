"""A cross-encoder on this machine as a judge: a model of inference, or of similarity.

Such a model reads two answers together and costs nothing per call. It is wrong more often than a
large model; its errors on control pairs are measured, and its verdicts only correct the comparison
of all hits, as with any judge.
"""

import json
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from costaudit.answers.judge.judge import Reply, texts_of
from costaudit.engine.device import accelerator, computing_on
from costaudit.engine.hub import ModelNotFoundError, model_folder
from costaudit.errors import BackendError, UsageError

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

_SIMILAR = 0.5  # minimum score of a model with one output, between 0 and 1


class PairModel:
    """A cross-encoder from a folder or the Hugging Face hub, loaded at the first question."""

    usd_per_mtok = ("0", "0")

    def __init__(self, model: str) -> None:
        if not model:
            raise UsageError(
                "nli names no model.", hint="Write nli:ORG/MODEL of the hub, or nli:FOLDER."
            )
        self.name = f"nli:{model}"
        self._model_name = model
        self._one_at_a_time = Lock()

    def ask(self, rubric: str, prompt: str) -> Reply:
        """Compare the two answers of a prompt in both directions; raise BackendError.

        A model of inference finds the cached answer right if, over both directions, entailment is
        likelier than contradiction. A model with one output finds it right from half of its scale.
        """
        question, logged, cached = texts_of(prompt)
        first, second = f"{question} {logged}", f"{question} {cached}"
        with self._one_at_a_time:
            right, said = self._verdict([(first, second), (second, first)])
        answer = {"verdict": "right" if right else "wrong", "reason": said}
        return Reply(json.dumps(answer), input_tokens=0, output_tokens=0)

    def close(self) -> None:
        """Keep nothing open."""

    def _verdict(self, pairs: list[tuple[str, str]]) -> tuple[bool, str]:
        model, names = self._loaded
        with computing_on(self._on):
            out = np.asarray(model.predict(pairs, show_progress_bar=False), np.float64)
        if out.ndim == 1 or out.shape[1] == 1:
            score = float(out.mean())  # the model itself maps its output to 0 to 1
            return score >= _SIMILAR, f"score {score:.2f}"
        weight = np.exp(out - out.max(axis=1, keepdims=True))
        share = (weight / weight.sum(axis=1, keepdims=True)).mean(axis=0)
        entails, denies = float(share[names["entailment"]]), float(share[names["contradiction"]])
        return entails > denies, f"entailment {entails:.2f}, contradiction {denies:.2f}"

    @cached_property
    def _on(self) -> str:
        return accelerator() or "cpu"

    @cached_property
    def _loaded(self) -> "tuple[CrossEncoder, dict[str, int]]":
        """The model, and the place of each of its labels."""
        try:
            folder = model_folder(self._model_name)
            from sentence_transformers import CrossEncoder

            model = CrossEncoder(
                str(folder), device=self._on, local_files_only=True, trust_remote_code=False,
                model_kwargs={"use_safetensors": True},  # pickled weights can run code
            )  # fmt: skip
        except (ModelNotFoundError, OSError, ValueError, KeyError, RuntimeError) as error:
            raise self._unusable(str(error).splitlines()[0]) from None
        names = {str(name).lower(): int(k) for name, k in model.config.label2id.items()}
        if model.num_labels > 1 and not {"entailment", "contradiction"} <= names.keys():
            raise self._unusable(f"its labels are {', '.join(sorted(names))}")
        return model, names

    def _unusable(self, why: str) -> BackendError:
        return BackendError(
            f"The judge {self.name} can't be used: {why.rstrip('.')}.",
            hint="Name a cross-encoder's folder or hub name: one whose labels are entailment, "
            "neutral and contradiction, or one with a single score.",
        )
