"""Why no question of a log could be cached."""

import numpy as np

from costaudit.contracts.policies import SemanticPolicy
from costaudit.errors import InsufficientDataError
from costaudit.pipeline.loaded import Loaded
from costaudit.report.bypass_reasons import bypass_line
from costaudit.simulate.semantic.eligibility import REASONS, bypass_codes
from costaudit.simulate.semantic.keys import keys_of


def uncacheable(log: Loaded, policy: SemanticPolicy) -> dict[str, int]:
    """Count by reason the requests that a cache under a policy must leave alone."""
    keys = keys_of(log.requests, log.compared, policy.key)
    codes = bypass_codes(log.requests, keys.has_text, keys.has_image, policy.max_temperature)
    counts = np.bincount(codes, minlength=len(REASONS)).tolist()
    return {name: n for name, n in zip(REASONS, counts, strict=True) if name and n}


def nothing_to_compare(log: Loaded, policy: SemanticPolicy) -> InsufficientDataError:
    """Say why a log has no question to compare, as the error to raise."""
    return InsufficientDataError(
        f"No question could be cached: {bypass_line(uncacheable(log, policy))}.",
        hint="`costaudit doctor LOG` shows what the log can tell.",
    )


def no_texts(log: Loaded) -> InsufficientDataError:
    """Say that similarity needs texts, as the error to raise for a log that was read hashed."""
    return InsufficientDataError(
        f"{log.run.path} was read with --redact hash, and similarity needs texts: it only tells "
        "which questions are identical.",
        hint="`analyze` and `sweep` count those; for more, read the log with --redact mask, or "
        "without.",
    )
