"""What the semantic cache gives to an audit."""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from costaudit.contracts.semantic import SemanticSection


@dataclass(frozen=True)
class SemanticResult:
    """The section, and what the ledger needs of it."""

    section: SemanticSection
    exact_hits: np.ndarray  # bool (n,): identical text
    hits: np.ndarray  # bool (n,): at the recommended point
    running_usd: Decimal  # of the recommended point, over the log's period
    saved_bounds: tuple[float, float] | None  # 95 % bounds, as multiples of what it saves
