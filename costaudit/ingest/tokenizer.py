"""Token counts of texts, in linear time whatever the text is."""

from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import Any, Protocol

ENCODING = "o200k_base"
REMEMBERED = 2_000_000  # counts kept by block, so that a block is counted once per process


class Counter(Protocol):
    """Count tokens."""

    def count(self, text: str) -> int:
        """Count the tokens of a text."""


class Tokenizer:
    """Count o200k_base tokens of blocks, each block once.

    The counts are those of tiktoken; the backtracking encoder of `bpe-openai` also stays linear
    in texts without word boundaries, which take a regular byte-pair encoder quadratic time.
    """

    name = ENCODING

    def __init__(self) -> None:
        self._counter: Counter = _bindings().tokenizer_for_encoding(ENCODING)
        self._known: dict[str, int] = {}

    def count(self, block_id: str, text: str) -> int:
        """Count a block's tokens."""
        known = self._known.get(block_id)
        if known is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            known = self._known[block_id] = self._counter.count(text)
        return known


def _bindings() -> Any:
    """Load the extension module alone: its package reads three vocabularies before it is used."""
    package = find_spec("bpe_openai")
    assert package is not None
    spec = PathFinder.find_spec("bpe_openai._bindings", package.submodule_search_locations)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
