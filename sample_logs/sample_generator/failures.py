"""What a failed attempt leaves in the log."""

import random
from typing import Any


def _error(message: str, kind: str, code: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def failed_latency_ms(status: int, rng: random.Random) -> int:
    """Return how long a failure took; the client waits 30 s before it gives up."""
    return 30_000 + rng.randrange(40) if status == 504 else rng.randrange(60, 900)


def error_body(status: int, model: str, rng: random.Random) -> dict[str, Any] | None:
    """Return the provider's error, or None where the client heard nothing."""
    if status == 429:
        return _error(
            f"Rate limit reached for {model} on tokens per min (TPM). "
            f"Please try again in {rng.randrange(1_000, 6_000)}ms.",
            "tokens",
            "rate_limit_exceeded",
        )
    if status == 500:
        return _error(
            "The server had an error while processing your request.", "server_error", None
        )
    return None
