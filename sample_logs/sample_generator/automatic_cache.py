"""A small model of the automatic prompt cache that served these models before GPT-5.6."""

import hashlib
import random
from array import array

FIRST = 1_024  # tokens; shorter prompts are never cached
STEP = 128  # tokens between the places where a prefix can end
STRAY_SHARE = 0.03  # requests that reach a machine which has not seen the prefix


class AutomaticCache:
    """Remembers prompt prefixes per model until they have been idle for 5 to 10 minutes."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._expires: dict[bytes, float] = {}  # prefix digest -> epoch seconds

    def lookup(self, model: str, prompt: "array[int]", now: float) -> int:
        """Return the cached tokens of a prompt at epoch second `now`, and remember the prompt."""
        digests = self._prefixes(model, prompt)
        cached = 0
        if self._rng.random() >= STRAY_SHARE:
            for number, digest in enumerate(digests):
                if self._expires.get(digest, 0.0) <= now:
                    break
                cached = FIRST + number * STEP
        expiry = now + self._rng.uniform(300.0, 600.0)
        for digest in digests:
            self._expires[digest] = max(expiry, self._expires.get(digest, 0.0))
        return cached

    @staticmethod
    def _prefixes(model: str, prompt: "array[int]") -> list[bytes]:
        digests = []
        running = hashlib.blake2b(model.encode(), digest_size=16)
        start = 0
        for end in range(FIRST, len(prompt) + 1, STEP):
            running.update(prompt[start:end].tobytes())
            digests.append(running.digest())
            start = end
        return digests
