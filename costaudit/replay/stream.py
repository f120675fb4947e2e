"""The requests to replay, in order, as arrays that do not depend on another stage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import xxhash

from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.errors import UsageError
from costaudit.providers.call import Prompt

LOGGED_FAILURE = "status_error"  # reason of a bypass: the logged call failed
BYPASS = -1  # text row of a request that bypasses the cache


def text_digest(text: str) -> str:
    """Return the digest of an answer's text; 32 hex digits."""
    return xxhash.xxh3_128_hexdigest(text.encode())


@dataclass(frozen=True)
class ReplayStream:
    """The requests of one log in the order of (ts, file, offset); all arrays have n rows."""

    request_ids: Sequence[str]
    rows: npt.NDArray[np.int64]  # row of each request's text in the vectors; BYPASS: not eligible
    partitions: npt.NDArray[np.int64]  # requests share entries only within a partition
    ts_s: npt.NDArray[np.float64]  # the log's clock, non-decreasing
    ready_s: npt.NDArray[np.float64]  # when a miss's answer can be served, on the same clock
    latencies_ms: npt.NDArray[np.float64]  # as logged; nan if unknown
    answers: Sequence[str]  # as logged; "" without one
    tokens: npt.NDArray[np.int64]  # (n, 6) in the order of TOKEN_CLASSES, as billed
    bypass_reasons: Sequence[str] = ()  # n names, or empty if nothing bypasses
    cost_usd: npt.NDArray[np.float64] | None = None  # as billed; for metrics, not for the audit
    models: Sequence[str] = ()  # labels of the metrics; n names or empty
    endpoints: Sequence[str] = ()  # labels of the metrics; n names or empty
    pools: npt.NDArray[np.int64] | None = None  # of a size limit; None: partitions
    prompts: Sequence[Prompt] | None = field(default=None, repr=False)  # for live upstreams
    scopes: Sequence[Mapping[str, str]] = ()  # n mappings of field → value, of the application
    follows: Sequence[bool] = ()  # n flags: other messages precede the question

    def __post_init__(self) -> None:
        n = len(self.request_ids)
        sized = (self.rows, self.partitions, self.ts_s, self.ready_s, self.latencies_ms)
        if any(len(array) != n for array in (*sized, self.answers, self.tokens)):
            raise UsageError("The columns of the replayed stream differ in length.")
        if self.tokens.shape != (n, len(TOKEN_CLASSES)):
            raise UsageError(f"Tokens have the shape {self.tokens.shape}, not ({n}, 6).")
        times = np.concatenate([self.ts_s, self.ready_s])
        if not np.isfinite(times).all() or (n > 1 and bool((np.diff(self.ts_s) < 0).any())):
            raise UsageError(
                "The replayed requests are not in order of time.",
                hint="Replay a run whose requests all have a time.",
            )

    def __len__(self) -> int:
        return len(self.request_ids)

    @property
    def digest(self) -> str:
        """Return a digest of what decides hits: order, texts, scopes and times; 32 hex digits."""
        state = xxhash.xxh3_128()
        state.update("\0".join(self.request_ids).encode())
        for array in (self.rows, self.partitions, self.ts_s, self.ready_s):
            state.update(np.ascontiguousarray(array).tobytes())
        return state.hexdigest()
