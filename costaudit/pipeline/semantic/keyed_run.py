"""What all sweeps of one log share: keyed requests, bootstrap weights and running costs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import cached_property

import numpy as np
import polars as pl

from costaudit.answers.tally import Population, RatePoint, blocks_of
from costaudit.contracts.grades import Estimate, Grade, Money, micro_usd
from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.semantic import CacheSize, SweepPoint
from costaudit.costing.plans.nodes import embedder_for, store_for
from costaudit.costing.plans.sizing import size_cache
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.simulate.semantic.keys import Keys, keys_of
from costaudit.simulate.semantic.stream import Stream, keyed_stream, rescoped
from costaudit.simulate.semantic.sweep import Decisions, check_policies

_HOUR_S = 3_600
EXACT = 1.01  # a threshold above 1 matches identical text only
WARM_UP_SHARE = 0.2  # first eligible requests, left out of the steady state


@dataclass(frozen=True)
class CacheHits:
    """The hits of a response cache, and the cost of its machines."""

    hits: np.ndarray  # bool (n,)
    store_usd: Decimal  # a month
    embed_usd: Decimal = Decimal(0)  # of its lookups, a month
    part: float = 1.0  # share of the saving that right hits earn; 1 if hits were not judged
    bounds: tuple[float, float] | None = None  # 95 % bounds, as multiples of what it saves


@dataclass(frozen=True)
class Keyed:
    """One log, keyed once by a policy."""

    keys: Keys
    stream: Stream

    @classmethod
    def of(cls, log: Loaded, policy: SemanticPolicy) -> "Keyed":
        """Key a log by a policy's key, scope and eligibility."""
        keys = keys_of(log.requests, log.compared, policy.key)
        return cls(keys, keyed_stream(log.requests, log.compared, policy, log.templates, keys))


class KeyedRun(ABC):
    """One log for sweeps under many policies."""

    context: tuple[float, ...] = ()  # thresholds whose hits help to judge those of one policy
    dimensions = 0  # of the vectors
    embedded_tokens = 0  # of all lookups
    per_mtok: Decimal | None = Decimal(0)  # the embedder's price; None if unknown

    def __init__(self, log: Loaded, options: AnalyzeOptions, keyed: Keyed | None = None) -> None:
        """Key the log, unless that was done before."""
        self.log, self.options = log, options
        keyed = keyed or Keyed.of(log, options.policy)
        self._keys, self.stream = keyed.keys, keyed.stream
        check_policies(self.stream, [options.policy])  # check before embedding
        self.eligible = self.stream.text >= 0
        self.warm_up = int(self.eligible.sum() * WARM_UP_SHARE)
        self.steady = np.cumsum(self.eligible) > self.warm_up
        self.counted = Population(
            eligible=self.eligible,
            block=blocks_of(log.requests),
            steady=self.steady,
            worth=log.sent_usd,
            wrong_cost=float(options.wrong_cost_usd),
        )

    @abstractmethod
    def swept(self, policies: Sequence[SemanticPolicy], stream: Stream | None = None) -> Decisions:
        """Return the decisions under policies that share a stream and a guard.

        The stream is the run's own unless one is given.
        """

    def together(self, policies: Sequence[SemanticPolicy]) -> list[Sequence[SemanticPolicy]]:
        """Return policies in the groups that are best swept in one pass."""
        return [policies]

    def fits(self, stream: Stream) -> bool:
        """Return whether a stream can be swept; one without vectors always can."""
        return True

    @abstractmethod
    def points(self, served: np.ndarray, replicates: int = 200) -> tuple[RatePoint, ...]:
        """Return the rates of rows of `Decisions.served`."""

    @abstractmethod
    def text_bytes(self) -> tuple[float, float]:
        """Return the mean length of a question and of an answer."""

    def keyed(self, policy: SemanticPolicy) -> Stream:
        """Return the log keyed under a policy; scopes change the partitions, never the texts."""
        return rescoped(self.stream, self.log.requests, policy, self.log.templates, self._keys)

    @cached_property
    def follows(self) -> np.ndarray:
        """Return which requests are a later turn, so that their history counts; bool (n,)."""
        return np.asarray(self._keys.history >= 0)

    @cached_property
    def _text_bytes(self) -> tuple[float, float]:
        return self.text_bytes()

    @cached_property
    def bytes_per_entry(self) -> int:
        """Return the size of an entry in the store."""
        return self.sizing(self.options.policy, 1).bytes_per_entry

    def store_usd(self, peak_entries: int) -> Decimal:
        """Return the store's monthly price."""
        entries = self.sizing(self.options.policy, peak_entries)
        return store_for(entries.maxmemory_mib << 20, self.options.machines).usd_month

    @cached_property
    def embed_usd(self) -> Decimal:
        """Return the monthly price of lookups: a hosted embedder's tokens, or a machine."""
        given = self.options.machines.embed_usd
        if given is not None or not self.per_mtok:
            busiest_s = busiest_lookups_s(self.stream.ts_s[self.eligible])
            return embedder_for(busiest_s, self.options.machines).usd_month
        month = self.log.month
        lookups = float(self.eligible.sum())
        scale = month.usd(self.eligible.astype(np.float64)) / Decimal(repr(max(lookups, 1.0)))
        return micro_usd(self.embedded_tokens * self.per_mtok / 1_000_000 * scale)

    def running_usd(self, min_similarity: float, peak_entries: int) -> Decimal:
        """Return the monthly price of one policy's machines; 0 if the month is unknown."""
        if not self.log.month.facts.is_month:
            return Decimal(0)
        embed = self.embed_usd if min_similarity <= 1 else Decimal(0)
        return self.store_usd(peak_entries) + embed

    def earned_parts(self, served: np.ndarray, point: RatePoint) -> np.ndarray:
        """Return the share of the hits' saving that right hits earn, then that of each replicate.

        It is 1 if no hit was judged.
        """
        whole = float((self.log.sent_usd * (served >= 0)).sum())
        if point.unsafe_served_share is None or not whole:
            return np.ones(1)
        return np.asarray(point.earned_usd / whole)

    def hits_of(
        self, served: np.ndarray, peak_entries: int, point: RatePoint, min_similarity: float
    ) -> CacheHits:
        """Return one policy's hits, the cost of its machines and the share of right hits."""
        _, part, bounds = self._worth(served, peak_entries, point, min_similarity)
        similar = min_similarity <= 1 and self.log.month.facts.is_month
        return CacheHits(
            hits=np.asarray(served >= 0),
            store_usd=self.store_usd(peak_entries),
            embed_usd=self.embed_usd if similar else Decimal(0),
            part=part,
            bounds=bounds,
        )

    def net_saved(
        self, served: np.ndarray, peak_entries: int, point: RatePoint, min_similarity: float
    ) -> Money:
        """Return the monthly saving of right hits, minus the cost of wrong hits and machines."""
        usd, part, bounds = self._worth(served, peak_entries, point, min_similarity)
        daily = self.log.month.daily(self.log.sent_usd * (served >= 0) * part)
        grade: Grade = "simulated" if point.unsafe_served_share is None else "estimated"
        return self.log.month.ranged(usd, daily, grade, bounds)

    def _worth(
        self, served: np.ndarray, peak_entries: int, point: RatePoint, min_similarity: float
    ) -> tuple[Decimal, float, tuple[float, float] | None]:
        """Return the monthly saving, the share of right hits in it, and its 95 % bounds.

        The bounds are multiples of the saving and come from the replicates. If no hit was judged,
        they are those of all hits.
        """
        gross = self.log.month.usd(self.log.sent_usd * (served >= 0))
        running = self.running_usd(min_similarity, peak_entries)
        parts = self.earned_parts(served, point)

        def net(part: float) -> Decimal:
            return micro_usd(gross * Decimal(repr(part))) - running

        part = float(parts[0])
        usd = net(part)
        if len(parts) == 1:
            return usd, part, bounds_of(point.raw_hit_share)
        if not usd:
            return usd, part, None
        low, high = (float(q) for q in np.quantile(parts[1:], [0.025, 0.975]))
        least, most = (float(net(end) / usd) for end in (min(low, part), max(high, part)))
        return usd, part, (least, most)

    def sizing(self, policy: SemanticPolicy, entries: int) -> CacheSize:
        """Return the size of the cache at its peak."""
        return CacheSize(**asdict(size_cache(policy, entries, self.dimensions, *self._text_bytes)))

    def sweep_point(
        self, decisions: Decisions, row: int, point: RatePoint, *, recommended: bool = False
    ) -> SweepPoint:
        """Return one row of the decisions, priced."""
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
            net_saved=self.net_saved(served, peak, point, decisions.policies[row].min_similarity),
            peak_entries=peak,
            recommended=recommended,
        )


def busiest_lookups_s(ts_s: np.ndarray) -> float:
    """Return the lookups per second of the busiest hour; `ts_s` are their times."""
    known = ts_s[np.isfinite(ts_s)]
    if not len(known):
        return 0.0
    return float(np.unique(known // _HOUR_S, return_counts=True)[1].max()) / _HOUR_S


def bounds_of(share: Estimate) -> tuple[float, float] | None:
    """Return the interval of a share as multiples of it."""
    if share.low is None or share.high is None or not share.value:
        return None
    return share.low / share.value, share.high / share.value


def mean_length(lengths: pl.Series) -> float:
    """Return the mean of lengths; 0 without any."""
    known = lengths.drop_nulls()
    return float(known.to_numpy().mean()) if len(known) else 0.0
