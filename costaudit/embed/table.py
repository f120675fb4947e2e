"""Embedders by the names that the command line knows."""

from collections.abc import Callable
from pathlib import Path

from costaudit.embed.embedder import Embedder
from costaudit.errors import UsageError


def embedder_named(name: str) -> Embedder:
    """Make an embedder; raises UsageError for a name that no embedder answers to.

    Names are minilm, fast, mpnet, multilingual, openai[:MODEL], bedrock[:MODEL], a Hugging Face
    name with a slash, a sentence-transformers folder, or a .parquet file of vectors.
    """
    kind, _, model = name.partition(":")
    if kind in _MAKERS:
        return _MAKERS[kind](model)
    if name.endswith(".parquet"):
        from costaudit.embed.precomputed import Precomputed

        return Precomputed(Path(name))
    if name and (Path(name).is_dir() or name.count("/") == 1):
        return _sentence(name, name)
    raise UsageError(
        f"Unknown embedder {name!r}.",
        hint=f"Choose from {', '.join(sorted(_MAKERS))}, a Hugging Face name such as org/model, "
        "a model's folder or a .parquet file of vectors.",
    )


def _minilm(model: str) -> Embedder:
    from costaudit.embed.minilm import MiniLM

    _refuse_model("minilm", model)
    return MiniLM()


def _fast(model: str) -> Embedder:
    from costaudit.embed.fast import FastMiniLM

    _refuse_model("fast", model)
    return FastMiniLM()


def _mpnet(model: str) -> Embedder:
    _refuse_model("mpnet", model)
    return _sentence("mpnet", "sentence-transformers/all-mpnet-base-v2")


def _multilingual(model: str) -> Embedder:
    _refuse_model("multilingual", model)
    return _sentence("multilingual", "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2")


def _openai(model: str) -> Embedder:
    from costaudit.embed.openai import OpenAIEmbedder

    return OpenAIEmbedder(model or "text-embedding-3-small")


def _bedrock(model: str) -> Embedder:
    from costaudit.embed.bedrock import BedrockEmbedder

    return BedrockEmbedder(model or "amazon.titan-embed-text-v2:0")


def _sentence(name: str, model: str) -> Embedder:
    from costaudit.embed.sentence import SentenceModel

    return SentenceModel(name, model)


def _refuse_model(name: str, model: str) -> None:
    if model:
        raise UsageError(f"{name} is one model; {model!r} can't follow it.", hint=f"Write {name}.")


_MAKERS: dict[str, Callable[[str], Embedder]] = {
    "minilm": _minilm,
    "fast": _fast,
    "mpnet": _mpnet,
    "multilingual": _multilingual,
    "openai": _openai,
    "bedrock": _bedrock,
}
