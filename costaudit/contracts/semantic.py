"""The audit's section on what a semantic response cache would do."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import numpy as np
import numpy.typing as npt

from costaudit.contracts.grades import Estimate, Money
from costaudit.contracts.policies import TtlKind

CacheKind = Literal["similar", "exact", "none"]  # none: no response cache
Lack = Literal["", "texts", "time", "room"]  # room: of one partition, or memory; "": nothing


@dataclass(frozen=True)
class SweepPoint:
    """The result at one similarity threshold."""

    min_similarity: float
    hits: int
    exact_hits: int  # of these, hits on identical text
    raw_hit_share: Estimate  # of eligible requests
    raw_hit_share_all: Estimate  # of all requests
    steady_hit_share: Estimate | None  # of eligible requests after warm-up
    valid_hit_share: Estimate | None  # of eligible requests; None without answers
    unsafe_served_share: Estimate | None  # wrong answers served, of ALL requests
    gross_saved_usd: Decimal  # what the hit requests cost in the log
    net_saved: Money  # less the cost of embedding and storage
    peak_entries: int
    recommended: bool = False


@dataclass(frozen=True)
class ScopeRow:
    """One step of the isolation ladder, or the default scope without one field."""

    scope: tuple[str, ...]
    removed: str  # the field left out; "" on the ladder
    partitions: int
    raw_hit_share: Estimate
    valid_hit_share: Estimate | None
    unsafe_served_share: Estimate | None
    net_saved: Money


@dataclass(frozen=True)
class VariantRow:
    """The result with another TTL, capacity, embedder or guard at the recommended threshold."""

    name: str  # for example ttl=3600s sliding
    raw_hit_share: Estimate
    valid_hit_share: Estimate | None
    unsafe_served_share: Estimate | None
    net_saved: Money
    peak_entries: int


PolicyKind = Literal["exact", "one", "entry", "topic", "topic_ttl", "curated"]


@dataclass(frozen=True)
class PolicyRow:
    """A cache policy, with its hits in one half of a log; it was chosen by the other half."""

    kind: PolicyKind
    hits: int
    raw_hit_share: Estimate  # of eligible requests
    valid_hit_share: Estimate
    unsafe_served_share: Estimate  # wrong answers served, of all requests
    saved: Money | None  # by right hits, less the cost of wrong ones; before what machines cost
    more: Money | None  # than one threshold for all, paired; None in its own row or without prices
    how: str  # one sentence: what it chose, learned or verified


@dataclass(frozen=True)
class PolicyTrials:
    """Other policies beside one threshold for all, for comparison only."""

    requests: int  # of the half in which hits are counted
    rows: tuple[PolicyRow, ...]
    why: str  # what the comparison shows, and which policies are not simulated and why


@dataclass(frozen=True)
class SecurityRow:
    """Whose answers a shared cache would show to whom, at one similarity threshold."""

    min_similarity: float  # above 1: identical text only
    hits: int
    across_tenants: int  # hits on an entry of another tenant
    across_users: int  # hits on an entry of another user
    personal: int  # of these, with a name, amount or id that only that user's answers have
    largest_fan_out: int  # hits on the entry that is served most
    nearest_wrong: float | None  # highest similarity of two questions with a wrong hit
    personal_share: Estimate | None = None  # `personal` of all requests; None: no user is known


@dataclass(frozen=True)
class PairEvidence:
    """Two questions that a cache would treat as the same."""

    request_id: str
    matched_id: str
    similarity: float
    answer_similarity: float | None
    right: bool | None
    flags: tuple[str, ...]  # trap detectors that fired: numbers, negation, ...
    question: str  # the text with --show-prompts; else its length and hash
    matched_question: str
    answer: str
    matched_answer: str


@dataclass(frozen=True)
class ClusterRow:
    """Questions with the same meaning; clusters are ranked by cost."""

    cluster_id: str  # stays while the central question does
    label: str  # the central question with --show-prompts; else the most frequent terms
    requests: int
    distinct_texts: int
    cost_usd: Decimal
    share: float  # of the cost of eligible requests
    hit_share: float  # at the recommended point
    tightness: float  # mean similarity to the centre
    answer_similarity_p50: float | None
    median_gap_s: float | None  # between successive requests
    pairs: tuple[PairEvidence, ...]  # best and worst
    ttl_s: float | None = None  # longest TTL that its answers support; None: no limit was found
    ttl_why: str = ""  # one sentence


@dataclass(frozen=True)
class SampledCluster:
    """Questions with the same meaning, counted on a sample of the texts."""

    cluster_id: str  # stays while the central question does
    label: str  # the central question with --show-prompts; else the most frequent terms
    request_share: Estimate  # of eligible requests
    cost: Money  # in the log
    share: Estimate  # of the cost of eligible requests
    hit_share: Estimate  # of its requests: those that repeat a question exactly
    tightness: float  # mean similarity to the centre, in the sample
    sampled_texts: int


@dataclass(frozen=True)
class SampledClusters:
    """The dearest topics of a log, if only some of its texts were embedded."""

    embedder: str
    embedder_revision: str
    embedded_texts: int  # of the distinct texts; drawn by their requests and cost
    rows: tuple[SampledCluster, ...]  # in falling order of cost


@dataclass(frozen=True)
class CacheSize:
    """The cache's peak memory use in Redis."""

    entries: int
    bytes_per_entry: int
    total_bytes: int
    maxmemory_mib: int  # Redis setting, with headroom, on an otherwise empty server
    maxmemory_policy: str  # Redis setting


EQUAL_COVERAGES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class CurvePoint:
    """What one threshold serves, and how much of it is right."""

    min_similarity: float
    coverage: float  # hits, as a share of eligible requests
    precision: float  # right hits, as a share of hits


@dataclass(frozen=True)
class EmbedderRow:
    """One embedder on this log, at the threshold recommended for it."""

    name: str
    revision: str
    dimensions: int
    bytes_per_vector: int
    lookup_ms: float  # median time to embed one text on this machine
    cut_texts: int  # texts cut because they are longer than its limit
    min_similarity: float | None  # recommended; None: exact matching only
    raw_hit_share: Estimate  # of eligible requests
    valid_hit_share: Estimate | None
    unsafe_served_share: Estimate | None
    net_saved: Money
    warning: str  # for example a language that the model doesn't know; may be empty
    curve: tuple[CurvePoint, ...] = ()  # in rising order of coverage
    precision_at: tuple[float | None, ...] = ()  # at EQUAL_COVERAGES; None where it covers less
    mean_precision: float | None = None  # area under the curve, up to a coverage that all reach


@dataclass(frozen=True)
class Approximation:
    """How an approximate sweep searched for similar texts, and its measured error."""

    cells: int
    probes: int  # cells that are searched for each text
    checked_requests: int  # the log's first requests, which were also searched exactly
    errors: tuple[float, ...]  # by point: approximate minus exact hit share of eligible requests


@dataclass(frozen=True)
class LifetimeSweep:
    """The sweep with one TTL."""

    ttl_s: float | None  # None: entries never expire
    ttl_kind: TtlKind
    points: tuple[SweepPoint, ...]


@dataclass(frozen=True)
class Misses:
    """What a judge's verdicts on a sample of hits show about the detectors of wrong details."""

    judge: str
    verdicts: int
    missed: float  # wrong details that no detector saw, of the verdicts; expected number
    seen: float  # wrong details that a detector saw; expected number
    unexplained: float = 0.0  # other wrong hits that look right; expected number
    explained: float = 0.0  # other hits that look right; expected number


@dataclass(frozen=True)
class SemanticSection:
    """The sweep and everything that depends on it."""

    policy_id: str  # of the recommended point, or of exact matching
    embedder: str  # "" if no texts were kept, so that only identical questions can be found
    embedder_revision: str
    dimensions: int
    eligible_requests: int
    bypassed: dict[str, int]  # reason → requests
    distinct_texts: int
    cut_texts: int  # texts cut because they are longer than the embedder's limit
    warm_up_requests: int  # excluded from the steady state
    max_wrong_share: float  # the bound on the unsafe-served share
    points: tuple[SweepPoint, ...]
    recommended: float | None  # similarity; None: exact matching only
    recommended_why: str  # one sentence
    scopes: tuple[ScopeRow, ...] = ()
    without_field: tuple[ScopeRow, ...] = ()
    variants: tuple[VariantRow, ...] = ()
    clusters: tuple[ClusterRow, ...] = ()
    worst_pairs: tuple[PairEvidence, ...] = ()
    refused_pairs: tuple[PairEvidence, ...] = ()  # near misses that guards or the answers refuse
    noise_floor: float | None = None  # answer similarity below which an answer is inconsistent
    noise_floor_pairs: int = 0  # repeated identical prompts that it was measured on
    bytes_per_entry: int = 0
    exact: SweepPoint | None = None  # identical text only
    sizing: CacheSize | None = None  # at the recommended point
    language_warning: str = ""  # the log's language is not the embedder's
    approximation: Approximation | None = None  # None: every similar pair was found
    exact_why: str = ""  # one sentence, if --approx or --sample was requested but not used
    lifetimes: tuple[LifetimeSweep, ...] = ()  # if several TTLs were requested
    ttl_s: float | None = None  # of the policy; None: entries never expire
    recommended_kind: CacheKind = "exact"
    user_data: str = ""  # one sentence, if answers contain data of the user who asked
    security: tuple[SecurityRow, ...] = ()  # by threshold, then exact matching
    misses: Misses | None = None  # from the last judge; None: none was asked
    trials: PolicyTrials | None = None  # of other policies; None: hits can't be judged
    lacks: Lack = ""  # why similar questions were not simulated; "": they were
    sampled_clusters: SampledClusters | None = None  # where no exact sweep is possible

    @property
    def chosen(self) -> SweepPoint | None:
        """The recommended point; exact matching if no threshold is recommended."""
        return next((point for point in self.points if point.recommended), self.exact)

    @property
    def all_points(self) -> tuple[SweepPoint, ...]:
        """The points of all thresholds, followed by exact matching."""
        return self.points if self.exact is None else (*self.points, self.exact)

    @property
    def cluster_labels(self) -> dict[str, str]:
        """The labels of all clusters by their ids, also of those that a sample shows."""
        sampled = self.sampled_clusters.rows if self.sampled_clusters else ()
        labels = {row.cluster_id: row.label for row in self.clusters}
        return labels | {row.cluster_id: row.label for row in sampled}


@dataclass(frozen=True)
class SampledPoint:
    """The result at one similarity threshold, without verdicts on the hits."""

    min_similarity: float
    raw_hit_share: Estimate  # of eligible requests
    net_saved: Money  # per month, less the cost of embedding and storage
    peak_entries: int


@dataclass(frozen=True)
class SampledSweep:
    """A sweep that embedded only some of the texts."""

    policy_id: str  # of the last point
    embedder: str
    embedder_revision: str
    eligible_requests: int
    distinct_texts: int
    embedded_texts: int
    core_texts: int  # of these, texts drawn at random, whose requests are counted
    points: tuple[SampledPoint, ...]
    language_warning: str = ""  # the log's language is not the embedder's


@dataclass(frozen=True)
class JudgeOpinion:
    """One judge's verdicts on a sample of hits, and the estimates for all hits based on them."""

    judge: str
    min_similarity: float  # threshold whose hits were judged
    requests: int
    hits: int
    pairs: int  # pairs drawn, without control pairs
    verdicts: int  # verdicts on these
    compared_share: Estimate  # right hits, from the comparison of answers alone
    right_share: Estimate | None  # right hits, from verdicts and comparison; None with too few
    powered_share: Estimate | None  # by prediction-powered inference, without assumptions
    verdicts_alone_share: Estimate | None
    unsafe_served_share: Estimate | None  # of all requests
    spent_usd: Decimal  # in this run
    note: str  # the judge's error rates on control pairs, and why it stopped early
    by_pair: tuple[int, ...] = ()  # in the order of the sample: 1 right, 0 wrong, -1 no verdict
    misses: Misses | None = None  # None: too few verdicts


@dataclass(frozen=True)
class ClusterCentres:
    """The centre of each cluster of a run, the small ones included.

    They are in a file beside the vectors, not in the Audit: a centre comes from the texts of its
    cluster, and an Audit is shared more widely than a run directory.
    """

    embedder: str
    revision: str
    ids: tuple[str, ...]  # cluster ids, as in the Audit
    vectors: npt.NDArray[np.float32]  # (clusters, dimensions), of length 1

    def matched(self, other: "ClusterCentres", least: float) -> frozenset[str]:
        """Return the ids of clusters whose centre has a similarity of `least` to one of `other`."""
        if not len(self.ids) or not len(other.ids):
            return frozenset()
        nearest = (self.vectors @ other.vectors.T).max(axis=1)
        return frozenset(one for one, near in zip(self.ids, nearest, strict=True) if near >= least)

    def comparable(self, other: "ClusterCentres") -> bool:
        """Return whether both come from the same embedder."""
        return (self.embedder, self.revision) == (other.embedder, other.revision)
