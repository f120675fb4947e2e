"""Embeddings from OpenAI, or from any server that speaks its protocol."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from costaudit.embed.embedder import unit_rows
from costaudit.errors import BackendError

if TYPE_CHECKING:
    from openai import OpenAI

_DIMENSIONS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}


class OpenAIEmbedder:
    """Ask the endpoint that OPENAI_BASE_URL names, with the key in OPENAI_API_KEY."""

    revision = "1"  # OpenAI's models don't change under their names
    max_tokens = 8_191
    concurrency = 4
    batch_tokens = 100_000

    def __init__(self, model: str) -> None:
        self.name = f"openai:{model}"
        self._model = model

    @cached_property
    def dimensions(self) -> int:
        """Width of the model's vectors; asked for where the model is unknown."""
        known = _DIMENSIONS.get(self._model)
        return known or len(self._ask(["width"])[0])

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        """Count tokens as OpenAI's models do."""
        return np.array(
            [len(self._encoding.encode_ordinary(text)) for text in texts], dtype=np.int32
        )

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Ask for one batch; an empty text is sent as a space, which the endpoint accepts."""
        return unit_rows(np.array(self._ask([self._cut(text) or " " for text in texts])), self.name)

    def _cut(self, text: str) -> str:
        if len(text) <= self.max_tokens:  # a token is at least a byte, and no text is shorter
            return text
        tokens = self._encoding.encode_ordinary(text)
        if len(tokens) <= self.max_tokens:
            return text
        cut: str = self._encoding.decode(tokens[: self.max_tokens]) or ""
        return cut

    def _ask(self, texts: Sequence[str]) -> list[list[float]]:
        from openai import OpenAIError

        try:
            answer = self._client.embeddings.create(
                model=self._model, input=list(texts), encoding_format="float"
            )
        except OpenAIError as error:
            raise BackendError(
                f"{self.name} did not answer: {str(error).splitlines()[0]}",
                hint="Check OPENAI_API_KEY and OPENAI_BASE_URL, or use the built-in minilm.",
            ) from None
        return [row.embedding for row in sorted(answer.data, key=lambda row: row.index)]

    @cached_property
    def _client(self) -> "OpenAI":
        from openai import OpenAI

        return OpenAI()

    @cached_property
    def _encoding(self) -> Any:
        import bpe_openai

        return bpe_openai.get_encoding("cl100k_base")
