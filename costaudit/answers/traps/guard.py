"""Detectors as a guard: a rule that refuses a hit before it is served."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from costaudit.answers.traps.signatures import Index, Signatures
from costaudit.answers.traps.table import TRAP_NAMES
from costaudit.errors import UsageError


class TrapGuard:
    """Refuse pairs of questions that a chosen detector tells apart."""

    def __init__(self, signatures: Signatures, names: Sequence[str]) -> None:
        names = TRAP_NAMES if "all" in names else names
        unknown = [name for name in names if name not in TRAP_NAMES]
        if unknown:
            raise UsageError(
                f"There is no guard named {unknown[0]!r}.",
                hint=f"Choose from {', '.join(TRAP_NAMES)}, or all.",
            )
        self._columns = [signatures.column(name) for name in dict.fromkeys(names)]

    def __call__(self, first: Index, second: Index) -> npt.NDArray[np.bool_]:
        """Tell per pair of texts, by their places among the distinct texts, whether to refuse."""
        refused = np.zeros(len(first), np.bool_)
        for column in self._columns:
            refused |= column.differs(first, second)
        return refused


def guard(names: Sequence[str], texts: Sequence[str]) -> TrapGuard:
    """Make a guard of the named detectors over distinct texts."""
    return TrapGuard(Signatures(texts), names)
