"""The sample audit's semantic section: nine thresholds over 990,000 eligible requests."""

from costaudit.contracts.grades import Estimate, Money
from costaudit.contracts.semantic import (
    ClusterRow,
    PairEvidence,
    PolicyKind,
    PolicyRow,
    PolicyTrials,
    ScopeRow,
    SecurityRow,
    SemanticSection,
    SweepPoint,
    VariantRow,
)
from tests.report.sample_cost import D, money


def point(
    similarity: float, hits: int, unsafe: float, gross: str, net: str, recommended: bool = False
) -> SweepPoint:
    """Return one threshold: 990,000 of 1,200,000 requests are eligible, 59,000 hits are exact."""
    raw = hits / 990_000
    wrong = unsafe * 1_200_000 / 990_000
    return SweepPoint(
        min_similarity=similarity,
        hits=hits,
        exact_hits=59_000,
        raw_hit_share=Estimate(raw, "simulated", raw * 0.96, raw * 1.04),
        raw_hit_share_all=Estimate(hits / 1_200_000, "simulated"),
        steady_hit_share=Estimate(raw * 1.06, "simulated"),
        valid_hit_share=Estimate(
            raw - wrong, "estimated", (raw - wrong) * 0.94, (raw - wrong) * 1.05
        ),
        unsafe_served_share=Estimate(unsafe, "estimated", unsafe * 0.7, unsafe * 1.4),
        gross_saved_usd=D(gross),
        net_saved=Money(D(net), "estimated", D(net) * D("0.9"), D(net) * D("1.1")),
        peak_entries=990_000 - hits,
        recommended=recommended,
    )


def pair(
    request: str,
    matched: str,
    similarity: float,
    right: bool | None,
    flags: tuple[str, ...],
    question: str,
    other: str,
    answer: str,
    other_answer: str,
) -> PairEvidence:
    return PairEvidence(
        request,
        matched,
        similarity,
        0.97 if right else 0.61,
        right,
        flags,
        question,
        other,
        answer,
        other_answer,
    )


GOOD_PAIR = pair(
    "req_000412",
    "req_000077",
    0.981,
    True,
    (),
    "How do I reset my password?",
    "How can I reset my password?",
    "Open Settings, then Security, and choose Reset password.",
    "Open Settings, then Security, and choose Reset password.",
)
BAD_PAIR = pair(
    "req_018830",
    "req_000913",
    0.944,
    False,
    ("numbers",),
    "Can I return an order after 14 days?",
    "Can I return an order after 45 days?",
    "Yes. Orders can be returned within 30 days of delivery.",
    "No. Orders can only be returned within 30 days of delivery.",
)
REFUSED_PAIR = pair(
    "req_020011",
    "req_004410",
    0.938,
    False,
    ("negation",),
    "Is the Pro plan billed yearly?",
    "Is the Pro plan not billed yearly?",
    "Yes, yearly, with a monthly option.",
    "It can also be billed monthly.",
)


def rates(raw: float, unsafe: float) -> tuple[Estimate, Estimate, Estimate]:
    """Return raw, valid and unsafe shares with their intervals."""
    return (
        Estimate(raw, "simulated", raw * 0.96, raw * 1.04),
        Estimate(raw * 0.97, "estimated", raw * 0.94, raw),
        Estimate(unsafe, "estimated", unsafe * 0.7, unsafe * 1.4),
    )


def scope(
    fields: tuple[str, ...], removed: str, partitions: int, raw: float, unsafe: float, net: str
) -> ScopeRow:
    return ScopeRow(fields, removed, partitions, *rates(raw, unsafe), money(net, "estimated"))


def exposed(hits: int) -> Estimate:
    share = hits / 1_200_000
    return Estimate(share, "estimated", share * 0.9, share * 1.1)


def trial(
    kind: PolicyKind, raw: float, unsafe: float, usd: str, more: str | None, how: str = ""
) -> PolicyRow:
    """Return another policy's row, over 495,000 eligible of 600,000 counted requests."""
    shares = rates(raw, unsafe)
    return PolicyRow(
        kind=kind,
        hits=round(raw * 495_000),
        raw_hit_share=shares[0],
        valid_hit_share=shares[1],
        unsafe_served_share=shares[2],
        saved=money(usd, "estimated"),
        more=None if more is None else money(more, "estimated"),
        how=how,
    )


def variant(name: str, raw: float, unsafe: float, net: str, entries: int) -> VariantRow:
    return VariantRow(name, *rates(raw, unsafe), money(net, "estimated"), entries)


DEFAULT_SCOPE = ("tenant", "endpoint", "model", "system", "tools")
SEMANTIC = SemanticSection(
    policy_id="semantic:min_similarity=0.93,embedder=minilm,scope=tenant+endpoint+model+system+tools",
    embedder="minilm",
    embedder_revision="53aa51172d14",
    dimensions=384,
    eligible_requests=990_000,
    bypassed={"tool_use": 141_000, "temperature": 52_000, "images": 17_000},
    distinct_texts=702_400,
    cut_texts=3_120,
    warm_up_requests=120_000,
    max_wrong_share=0.01,
    points=(
        point(0.80, 301_000, 0.0410, "9120", "5010"),
        point(0.85, 248_000, 0.0224, "7480", "4890"),
        point(0.88, 209_000, 0.0131, "6310", "4480"),
        point(0.90, 187_000, 0.0096, "5640", "4260"),
        point(0.92, 165_000, 0.0071, "4980", "4050"),
        point(0.93, 154_000, 0.0043, "4640", "3970", recommended=True),
        point(0.95, 131_000, 0.0028, "3940", "3420"),
        point(0.97, 104_000, 0.0012, "3120", "2760"),
        point(0.99, 71_000, 0.0002, "2190", "2010"),
    ),
    recommended=0.93,
    recommended_why="Most net money whose upper bound on unsafe answers, 0.60%, stays within 1%.",
    scopes=(
        scope((), "", 1, 0.262, 0.0181, "5900"),
        scope(("model",), "", 3, 0.241, 0.0139, "5480"),
        scope(("model", "system"), "", 41, 0.198, 0.0088, "4710"),
        scope(("model", "system", "tools"), "", 44, 0.197, 0.0087, "4700"),
        scope(DEFAULT_SCOPE, "", 117, 0.156, 0.0043, "3970"),
        scope((*DEFAULT_SCOPE, "user"), "", 41_220, 0.047, 0.0006, "1180"),
    ),
    without_field=(
        scope(("endpoint", "model", "system", "tools"), "tenant", 44, 0.197, 0.0087, "4700"),
        scope(("tenant", "model", "system", "tools"), "endpoint", 117, 0.156, 0.0043, "3970"),
    ),
    security=(
        SecurityRow(0.85, 171_000, 0, 88_000, 1_240, 4_100, 0.981, exposed(1_240)),
        SecurityRow(0.93, 153_000, 0, 79_000, 870, 3_900, 0.981, exposed(870)),
        SecurityRow(0.95, 121_000, 0, 61_000, 310, 3_300, None, exposed(310)),
    ),
    trials=PolicyTrials(
        requests=600_000,
        rows=(
            trial("exact", 0.058, 0.0004, "1420", "-1380"),
            trial(
                "one",
                0.156,
                0.0043,
                "2800",
                None,
                "The threshold is 0.93, by the rule that recommends one.",
            ),
            trial(
                "entry",
                0.113,
                0.0031,
                "2230",
                "-570",
                "To learn, 93,400 calls were compared with an entry's answer.",
            ),
            trial(
                "topic",
                0.171,
                0.0047,
                "3120",
                "320",
                "212 topics have thresholds from 0.81 to 0.98, and 7 serve only identical "
                "questions.",
            ),
            trial(
                "curated",
                0.157,
                0.0041,
                "2805",
                "5",
                "100 answers to the questions asked most in the first half of the log serve 9,120 "
                "requests of its second half at once, and 1,210 more by verification: 8,400 calls "
                "were compared with a reviewed answer, and 2,300 took it over.",
            ),
        ),
        why="A threshold for each topic would save $320.00 more than one threshold (95%: at least "
        "$288.00), before what it costs to run.",
    ),
    variants=(
        variant("ttl=3600s fixed", 0.103, 0.0021, "2640", 61_000),
        variant("ttl=3600s sliding", 0.117, 0.0025, "3010", 66_000),
        variant("max_entries=50000 lru", 0.139, 0.0037, "3590", 50_000),
        variant("guard=numbers+negation", 0.141, 0.0011, "3610", 849_000),
    ),
    clusters=(
        ClusterRow(
            "c-7f3a91",
            "reset password account",
            14_200,
            1_980,
            D("512.40"),
            0.0155,
            0.83,
            0.94,
            0.97,
            42.0,
            (GOOD_PAIR,),
        ),
        ClusterRow(
            "c-19be02",
            "return order days",
            9_800,
            2_310,
            D("431.10"),
            0.0131,
            0.64,
            0.91,
            0.78,
            95.0,
            (BAD_PAIR,),
        ),
        ClusterRow(
            "c-misc00",
            "pro plan billed yearly",
            6_100,
            1_720,
            D("208.00"),
            0.0063,
            0.51,
            0.89,
            None,
            None,
            (),
        ),
    ),
    worst_pairs=(BAD_PAIR,),
    refused_pairs=(REFUSED_PAIR,),
    noise_floor=0.912,
    noise_floor_pairs=4_180,
    bytes_per_entry=2_912,
)
