"""What a part of a log's texts tells about a semantic cache."""

from dataclasses import dataclass

from costaudit.contracts.grades import Estimate, Money


@dataclass(frozen=True)
class SampledPoint:
    """One similarity threshold."""

    min_similarity: float
    raw_hit_share: Estimate  # of eligible requests
    net_saved: Money  # a month, less embedding and storing
    peak_entries: int


@dataclass(frozen=True)
class SampledSweep:
    """A sweep of which only a part of the texts was embedded."""

    policy_id: str  # of the last point
    embedder: str
    embedder_revision: str
    eligible_requests: int
    distinct_texts: int
    embedded_texts: int
    core_texts: int  # of these, drawn at random: their requests are counted
    points: tuple[SampledPoint, ...]
    language_warning: str = ""  # the log's language is not the embedder's
