"""What is replayed: the log's requests in order, as arrays that any stage can hand over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import xxhash

from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.errors import UsageError
from costaudit.providers.call import Prompt

LOGGED_FAILURE = "status_error"  # reason of a bypass: the log's own call had failed
BYPASS = -1  # text row of a request that the policy keeps away from the cache


def text_digest(text: str) -> str:
    """Return the fingerprint of an answer's text; 32 hex digits."""
    return xxhash.xxh3_128_hexdigest(text.encode())


@dataclass(frozen=True)
class ReplayStream:
    """The requests of one log in the order of (ts, file, offset); all arrays have n rows."""

    request_ids: Sequence[str]
    rows: npt.NDArray[np.int64]  # of each request's text in the vectors; BYPASS: not eligible
    partitions: npt.NDArray[np.int64]  # requests meet in the cache only within a partition
    ts_s: npt.NDArray[np.float64]  # the log's clock, never falling
    ready_s: npt.NDArray[np.float64]  # when a miss's answer can be served, on the same clock
    latencies_ms: npt.NDArray[np.float64]  # as logged; nan where unknown
    answers: Sequence[str]  # as logged; "" where none was
    tokens: npt.NDArray[np.int64]  # (n, 6) in the order of TOKEN_CLASSES, as billed
    bypass_reasons: Sequence[str] = ()  # n names, or empty where nothing is bypassed
    cost_usd: npt.NDArray[np.float64] | None = None  # as billed; for metrics, not for the audit
    models: Sequence[str] = ()  # labels of the metrics; n names or empty
    endpoints: Sequence[str] = ()  # labels of the metrics; n names or empty
    pools: npt.NDArray[np.int64] | None = None  # a size limit counts within; None: as partitions
    prompts: Sequence[Prompt] | None = field(default=None, repr=False)  # for live upstreams
    scopes: Sequence[Mapping[str, str]] = ()  # n times field → value, as the application knows them
    follows: Sequence[bool] = ()  # n times: other messages came before the question

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
        """Fingerprint what decides hits: order, texts, scopes and times; 32 hex digits."""
        state = xxhash.xxh3_128()
        state.update("\0".join(self.request_ids).encode())
        for array in (self.rows, self.partitions, self.ts_s, self.ready_s):
            state.update(np.ascontiguousarray(array).tobytes())
        return state.hexdigest()
