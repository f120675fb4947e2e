"""What a judge's verdicts make of would-be hits."""

from dataclasses import dataclass
from decimal import Decimal

from costaudit.contracts.grades import Estimate


@dataclass(frozen=True)
class JudgeOpinion:
    """One judge's verdicts on a sample of hits, and the estimates of all hits that follow."""

    judge: str
    min_similarity: float  # threshold whose hits were judged
    requests: int
    hits: int
    pairs: int  # drawn, control pairs not counted
    verdicts: int  # on these
    compared_share: Estimate  # hits that are right by the comparison of answers alone
    right_share: Estimate | None  # the same by verdicts and comparison; None with too few
    powered_share: Estimate | None  # by prediction-powered inference, without assumptions
    verdicts_alone_share: Estimate | None
    unsafe_served_share: Estimate | None  # of all requests
    spent_usd: Decimal  # now
    note: str  # the judge's own errors on control pairs; why it stopped early
    by_pair: tuple[int, ...] = ()  # 1 right, 0 wrong, -1 none: in the order of the sample
