"""What every sweep of one log shares: keyed requests, the parts of the bootstrap, running costs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from functools import cached_property

import numpy as np
import polars as pl

from costaudit.answers.tally import RatePoint, blocks_of
from costaudit.contracts.grades import Estimate, Money
from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.semantic import CacheSize, SweepPoint
from costaudit.costing.ledger import per_month
from costaudit.costing.plan import semantic_running_cost, size_cache
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.simulate.semantic.keys import keys_of
from costaudit.simulate.semantic.stream import Stream, keyed_stream, rescoped
from costaudit.simulate.semantic.sweep import Decisions

EXACT = 1.01  # a threshold above 1: identical text only
WARM_UP_SHARE = 0.2  # of eligible requests, in order: left out of the steady state


class KeyedRun(ABC):
    """One log, keyed once, to be swept under many policies."""

    context: tuple[float, ...] = ()  # thresholds whose hits help to judge those of one policy
    dimensions = 0  # of the vectors
    embedded_tokens = 0  # of all lookups
    per_mtok: Decimal | None = Decimal(0)  # of the embedder; None where it is not known

    def __init__(self, log: Loaded, options: AnalyzeOptions) -> None:
        self.log, self.options = log, options
        self._keys = keys_of(log.requests, log.compared, options.policy.key)
        self.stream = keyed_stream(
            log.requests, log.compared, options.policy, log.templates, self._keys
        )
        self.eligible = self.stream.text >= 0
        self.warm_up = int(self.eligible.sum() * WARM_UP_SHARE)
        self.steady = np.cumsum(self.eligible) > self.warm_up
        self.blocks = blocks_of(log.requests)

    @abstractmethod
    def swept(self, policies: Sequence[SemanticPolicy], stream: Stream | None = None) -> Decisions:
        """Decide the log under policies that share a stream and a guard.

        The stream is the run's own unless one is given.
        """

    @abstractmethod
    def points(self, served: np.ndarray, replicates: int = 200) -> tuple[RatePoint, ...]:
        """Return the rates of rows of `Decisions.served`."""

    @abstractmethod
    def text_bytes(self) -> tuple[float, float]:
        """Return the mean length of a question and of an answer."""

    def keyed(self, policy: SemanticPolicy) -> Stream:
        """Key the log under a policy; scopes change the partitions, never the texts."""
        return rescoped(self.stream, self.log.requests, policy, self.log.templates, self._keys)

    @cached_property
    def follows(self) -> np.ndarray:
        """Return which requests have a history that counts: a later turn; bool (n,)."""
        return self._keys.history.is_not_null().to_numpy()

    @cached_property
    def bytes_per_entry(self) -> int:
        """Return what an entry takes in the store."""
        return self.sizing(self.options.policy, 1).bytes_per_entry

    def running_usd(self, peak_entries: int) -> Decimal:
        """Price the lookups and the store over the log's period."""
        return semantic_running_cost(
            embedded_tokens=self.embedded_tokens,
            per_mtok=self.per_mtok,
            peak_entries=peak_entries,
            bytes_per_entry=self.bytes_per_entry,
            covered_days=self.log.quality.covered_days,
        ).total_usd

    def net_usd_month(self, served: np.ndarray, peak_entries: int) -> Decimal:
        """Return what the hits of one row were billed, less the running cost, for a month."""
        saved = self.log.usd_of(served >= 0) - self.running_usd(peak_entries)
        return per_month(saved, self.log.quality.covered_days)

    def sizing(self, policy: SemanticPolicy, entries: int) -> CacheSize:
        """Size the cache for its fullest moment."""
        return CacheSize(**asdict(size_cache(policy, entries, self.dimensions, *self.text_bytes())))

    def sweep_point(
        self, decisions: Decisions, row: int, point: RatePoint, *, recommended: bool = False
    ) -> SweepPoint:
        """Price one row of the decisions."""
        served, peak = decisions.served[row], int(decisions.peak_entries[row])
        exact = (served >= 0) & (decisions.similarity[row] == 1.0)
        return SweepPoint(
            min_similarity=decisions.policies[row].min_similarity,
            hits=point.hits,
            exact_hits=int(exact.sum()),
            raw_hit_share=point.raw_hit_share,
            raw_hit_share_all=point.raw_hit_share_all,
            steady_hit_share=point.steady_hit_share,
            valid_hit_share=point.valid_hit_share,
            unsafe_served_share=point.unsafe_served_share,
            gross_saved_usd=self.log.usd_of(served >= 0),
            net_saved=money_of(self.net_usd_month(served, peak), point.raw_hit_share),
            peak_entries=peak,
            recommended=recommended,
        )


def bounds_of(share: Estimate) -> tuple[float, float] | None:
    """Return the interval of a share as multiples of it."""
    if share.low is None or share.high is None or not share.value:
        return None
    return share.low / share.value, share.high / share.value


def money_of(usd: Decimal, share: Estimate) -> Money:
    """Let the interval of the hit share carry over to the money that the hits save."""
    bounds = bounds_of(share)
    if bounds is None:
        return Money(usd, "simulated")
    low, high = sorted((usd * Decimal(str(bound))).quantize(usd) for bound in bounds)
    return Money(usd, "simulated", low, high)


def mean_length(lengths: pl.Series) -> float:
    """Return the mean of lengths; 0 where there are none."""
    known = lengths.drop_nulls()
    return float(known.to_numpy().mean()) if len(known) else 0.0
