"""What a cache to fill is: a Protocol of two methods, and what they say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from costaudit.replay.warm import WarmAnswer

Embed = Callable[[str], npt.NDArray[np.float32]]
"""Turn a text into a vector (d,) of unit length."""


@dataclass(frozen=True)
class Separation:
    """What a cache keeps apart by itself: an answer is never served across it."""

    fields: tuple[str, ...] = ()  # of the log: tenant, user, endpoint, model, provider
    whole_prompt: bool = False  # system prompt, tools and history are in its key too
    folds_case: bool = False  # Acme and acme are the same to it
    separators: str = ""  # characters that a value must not hold
    only: tuple[tuple[str, str], ...] = ()  # field, the one value whose answers it can hold


@dataclass(frozen=True)
class Filled:
    """What was written."""

    answers: tuple[WarmAnswer, ...]  # now in the cache, by this call
    present: int = 0  # the cache had an entry for that question before, which was left alone


@dataclass(frozen=True)
class Checked:
    """What the product's own client found of it.

    Law: found + other + missing = the answers that were written.
    """

    client: str  # who looked, such as SemanticCache.check of redisvl 0.28.0
    found: int  # served with the very answer
    other: int  # served another answer of the same scope: a nearer one was there
    missing: int
    probes: int = 0  # the same questions asked from other scopes
    crossed: int = 0  # of these, served an answer that was written for another scope


class WarmTarget(Protocol):
    """A cache to fill; raises UsageError or BackendError where it can't be."""

    name: str  # a printable address, without credentials

    def separation(self) -> Separation:
        """Connect, and return what the cache keeps apart."""

    def fill(self, answers: Sequence[WarmAnswer]) -> Filled:
        """Write answers in the cache's own schema; entries that it has are left alone."""

    def check(
        self, filled: Sequence[WarmAnswer], others: Sequence[tuple[WarmAnswer, Mapping[str, str]]]
    ) -> Checked:
        """Look the answers up through the product's own client.

        `others` are answers with a scope that is not theirs: asked from there, none may be served.
        """

    def remove(self, filled: Sequence[WarmAnswer]) -> None:
        """Take out again what `fill` wrote."""
