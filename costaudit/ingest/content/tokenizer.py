"""Count the tokens of texts, in linear time for every text."""

import re
from collections.abc import Iterator, Sequence
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import Any, Protocol

ENCODING = "o200k_base"
REMEMBERED = 2_000_000  # counts we keep, so that each block is counted once per process
REMEMBERED_LINES = 200_000
LONG = 256  # texts with this many characters or more are counted line by line
PART = 8 << 20  # characters whose lines we hold in memory at once
LINE_END = re.compile(r"\n(?=[^\s/])")  # a token always ends here
WORD_END = re.compile(r"(?<=[A-Za-z])(?= [A-Za-z])")  # and here


class Counter(Protocol):
    """Count tokens."""

    def count(self, text: str) -> int:
        """Count the tokens of a text."""


class Tokenizer:
    """Count o200k_base tokens of blocks, each block once.

    The counts are those of tiktoken; the backtracking encoder of `bpe-openai` also stays linear
    in texts without word boundaries, which take a regular byte-pair encoder quadratic time.
    Long texts are counted line by line, and a line in several texts is counted only once.
    o200k_base joins a line feed to the next character only if that is white space or a slash, and
    never joins a letter to the space after it.
    """

    name = ENCODING

    def __init__(self, part: int = PART) -> None:
        self._part = part
        self._counter: Counter = _bindings().tokenizer_for_encoding(ENCODING)
        self._known: dict[str, int] = {}
        self._lines: dict[str, int] = {}  # counts of lines, with their line feed

    def count_all(self, block_ids: Sequence[str], texts: Sequence[str]) -> list[int | None]:
        """Return the token count of each block, in order; no count is None."""
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        known = self._known
        counts: list[int | None] = list(map(known.get, block_ids))
        for place, count in enumerate(counts):
            if count is None:
                text = texts[place]
                counts[place] = known[block_ids[place]] = self.count_text(text)
        return counts

    def count_text(self, text: str) -> int:
        """Return the number of tokens of a text."""
        if len(text) < LONG or ("\n" not in text and len(text) <= self._part):
            return self._counter.count(text)
        return sum(map(self._count_part, _parts(text, self._part)))

    def _count_part(self, text: str) -> int:
        *ended, last = LINE_END.split(text)
        counts = list(map(self._lines.get, ended))
        known = sum(count for count in counts if count is not None)
        new = sum(self._count_line(ended[at]) for at, count in enumerate(counts) if count is None)
        return known + new + self._counter.count(last)

    def _count_line(self, line: str) -> int:
        if len(self._lines) >= REMEMBERED_LINES:
            self._lines.clear()
        count = self._lines[line] = self._counter.count(f"{line}\n")
        return count


def _parts(text: str, size: int) -> Iterator[str]:
    """Yield parts of a very long text, cut at line ends or between words, to limit memory."""
    start = 0
    while len(text) - start > size:
        stop = start + size
        end = LINE_END.search(text, start + size // 2, stop)
        if end is None:
            end = WORD_END.search(text, start + size // 2, stop)
        if end is None:
            end = LINE_END.search(text, stop)
        if end is None:
            break
        yield text[start : end.end()]
        start = end.end()
    yield text[start:]


def _bindings() -> Any:
    """Load only the extension module: importing the package would read three vocabularies."""
    package = find_spec("bpe_openai")
    assert package is not None
    spec = PathFinder.find_spec("bpe_openai._bindings", package.submodule_search_locations)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
