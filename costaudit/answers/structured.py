"""Structured answers compared field by field."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from costaudit.answers.kinds import code_blocks, parse_json
from costaudit.answers.traps.folding import fold

_NOISY = 0.2  # a field that differs in more of the repeats says nothing about being wrong
_ENOUGH = 10  # repeats that show a field, before it may be called noisy
_WORDS = 6  # a string of more words is prose, which no two answers share


@dataclass(frozen=True)
class NoisyFields:
    """Fields of structured answers that differ between answers to the same prompt."""

    paths: frozenset[str]


def differing_fields(first: object, second: object, path: str = "$") -> set[str]:
    """List the paths of fields that are missing on one side or hold different values.

    Numbers equal within a relative 1e-6, strings regardless of case and spacing; prose never
    differs; items of lists share one path.
    """
    if isinstance(first, dict) and isinstance(second, dict):
        out = {f"{path}.{key}" for key in first.keys() ^ second.keys()}
        for key in first.keys() & second.keys():
            out |= differing_fields(first[key], second[key], f"{path}.{key}")
        return out
    if isinstance(first, list) and isinstance(second, list):
        if len(first) != len(second):
            return {f"{path}[]"}
        pairs = zip(first, second, strict=True)
        return set().union(*(differing_fields(a, b, f"{path}[]") for a, b in pairs))
    return set() if _same_value(first, second) else {path}


def _same_value(first: object, second: object) -> bool:
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, (int, float)) and isinstance(second, (int, float)):
        return abs(first - second) <= 1e-6 * max(abs(first), abs(second))
    if isinstance(first, str) and isinstance(second, str):
        words_a, words_b = fold(first).split(), fold(second).split()
        return words_a == words_b or min(len(words_a), len(words_b)) > _WORDS
    return first == second


def noisy_fields(pairs: Sequence[tuple[str, str]]) -> NoisyFields:
    """Find the fields that differ between answers to identical prompts, given as text pairs."""
    differing: dict[str, int] = {}
    for first, second in pairs:
        for path in differing_fields(parse_json(first), parse_json(second)):
            differing[path] = differing.get(path, 0) + 1
    if len(pairs) < _ENOUGH:
        return NoisyFields(frozenset())
    return NoisyFields(frozenset(p for p, n in differing.items() if n > _NOISY * len(pairs)))


def same_structure(
    first: Sequence[str], second: Sequence[str], noisy: NoisyFields
) -> npt.NDArray[np.int8]:
    """Tell per pair of JSON answers whether all fields agree that aren't noise: 1 or 0."""
    return np.array(
        [
            not (differing_fields(parse_json(a), parse_json(b)) - noisy.paths)
            for a, b in zip(first, second, strict=True)
        ],
        np.int8,
    )


def same_code(first: str, second: str) -> bool:
    """Tell whether two answers hold the same code, apart from comments and spacing."""
    return code_blocks(first) == code_blocks(second)
