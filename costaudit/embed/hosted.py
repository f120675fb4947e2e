"""Embeddings from hosted models: Amazon Bedrock, OpenAI, and servers with OpenAI's API."""

import json
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from costaudit.embed.embedder import EmbedderSpec, spec_of, unit_rows
from costaudit.errors import BackendError, UsageError

if TYPE_CHECKING:
    from openai import OpenAI

_CHARS_PER_TOKEN = 4


class HostedEmbedder(Protocol):
    """What is known of a hosted model without a call."""

    name: str
    max_tokens: int

    @property
    def known_dimensions(self) -> int | None:
        """Width of the model's vectors; None if only a call can tell."""

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        """Return each text's tokens, or an estimate; int32 (n,)."""


class BedrockEmbedder:
    """Calls Bedrock with boto3's credentials and region."""

    revision = "1"  # a model's version is part of its name
    dimensions = known_dimensions = 1024
    concurrency = 8
    batch_tokens = 2_048

    def __init__(self, model: str) -> None:
        self.name = f"bedrock:{model}"
        self._model = model
        family = model.split(".")[-2] if "." in model else ""
        if family not in ("amazon", "cohere"):
            raise UsageError(
                f"Unknown Bedrock embedding model {model!r}.",
                hint="Name a Titan or Cohere model, such as amazon.titan-embed-text-v2:0.",
            )
        self._together = family == "cohere"  # takes many texts in one call
        self.max_tokens = 512 if self._together else 8_192

    @property
    def spec(self) -> EmbedderSpec:
        """Name, weights, width and limits."""
        return spec_of(self)

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        """Return an estimate: four characters per token."""
        return np.array([len(text) // _CHARS_PER_TOKEN + 1 for text in texts], dtype=np.int32)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Embed one batch; an empty text is sent as a space, which the models accept."""
        cut = [text[: self.max_tokens * _CHARS_PER_TOKEN] or " " for text in texts]
        if self._together:
            rows: list[list[float]] = []
            for start in range(0, len(cut), 96):  # the most that one call takes
                body = {"texts": cut[start : start + 96], "input_type": "clustering"}
                rows += self._ask({**body, "truncate": "END"})["embeddings"]
        else:
            rows = [
                self._ask({"inputText": text, "dimensions": self.dimensions})["embedding"]
                for text in cut
            ]
        return unit_rows(np.array(rows), self.name)

    def _ask(self, body: dict[str, Any]) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._client.invoke_model(modelId=self._model, body=json.dumps(body))
            return json.loads(answer["body"].read())
        except (BotoCoreError, ClientError) as error:
            raise BackendError(
                f"{self.name} did not answer: {str(error).splitlines()[0]}",
                hint="Check the AWS credentials, the region and access to the model, or use the "
                "built-in minilm.",
            ) from None

    @cached_property
    def _client(self) -> Any:
        import boto3
        from botocore.exceptions import BotoCoreError

        try:
            return boto3.client("bedrock-runtime")
        except BotoCoreError as error:
            raise BackendError(
                f"{self.name} can't be used: {error}",
                hint="Set AWS_REGION and the AWS credentials, or use the built-in minilm.",
            ) from None


_DIMENSIONS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}


class OpenAIEmbedder:
    """Calls the endpoint in OPENAI_BASE_URL with the key in OPENAI_API_KEY."""

    revision = "1"  # OpenAI's models don't change under their names
    max_tokens = 8_191
    concurrency = 4
    batch_tokens = 100_000

    def __init__(self, model: str) -> None:
        self.name = f"openai:{model}"
        self._model = model

    @cached_property
    def dimensions(self) -> int:
        """Width of the model's vectors; a call finds it for unknown models."""
        return self.known_dimensions or len(self._ask(["width"])[0])

    @property
    def known_dimensions(self) -> int | None:
        """Width of the vectors of OpenAI's own models; None for others."""
        return _DIMENSIONS.get(self._model)

    @property
    def spec(self) -> EmbedderSpec:
        """Name, weights, width and limits."""
        return spec_of(self)

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        """Return token counts by OpenAI's tokenizer."""
        return np.array(
            [len(self._encoding.encode_ordinary(text)) for text in texts], dtype=np.int32
        )

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Embed one batch; an empty text is sent as a space, which the endpoint accepts."""
        return unit_rows(np.array(self._ask([self._cut(text) or " " for text in texts])), self.name)

    def _cut(self, text: str) -> str:
        if len(text) <= self.max_tokens:  # a token has at least one byte
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
