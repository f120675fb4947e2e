"""The first screen: current and possible spend, what to do, and how far the log supports it."""

from dataclasses import dataclass, replace

from costaudit.contracts.audit import Audit, Finding, covered
from costaudit.contracts.grades import Money
from costaudit.contracts.ledger import LedgerStep, PlanStep
from costaudit.report.charts.waterfall import Bar, waterfall
from costaudit.report.language import said, style, tr
from costaudit.report.numbers import count, share, usd
from costaudit.report.summary import Severity, ranked_findings, severity

ACTIONS = 3
_RISKS = {
    "duplicates": "None for equal prompts; give entries a lifetime where facts change.",
    "prompt_caching": "None for the answers: the same text is sent, in another order.",
    "tools": "A tool that is needed rarely may not have been called in this log.",
    "repeated_blocks": "A repeated instruction may have had its use near the question.",
    "serialisation": "None for the values: only white space goes.",
    "padding": "A table whose columns are separated by blanks alone needs two of them.",
    "encoded": "A task about the encoded characters themselves needs them.",
    "embeddings": "None: the same model gives the same text the same vector.",
    "indented_answers": "A model may forget a format that is only asked for.",
    "tiers": "In the provider's busiest hours, which the log may not hold, tiers may differ.",
    "routing": "Other questions than those in the log may need the larger model.",
    "loops": "An agent that polls has to ask again until something changes.",
    "invalid_json": "A strict schema supports fewer features.",
    "batch": "Answers come up to 24 hours later.",
    "waste": "None: these calls brought nothing.",
}


@dataclass(frozen=True)
class Action:
    """One of the largest things to do."""

    title: str  # in the imperative where the plan says what to do
    step: PlanStep
    section: str  # of the report; a lever's name where that is the section
    cause: str  # the dearest finding behind it; "" for none
    risk: str


@dataclass(frozen=True)
class Fall:
    """The waterfall of the first screen: one `after`, and beyond it what depends on assumptions."""

    before: Bar
    firm: tuple[Bar, ...]
    after: Bar
    beyond: tuple[Bar, ...]


def fall(audit: Audit) -> Fall:
    """Lay the ledger out with its firm steps first, down to the verdict's `after`."""
    firm, assumed = parted(audit)
    bars = waterfall(replace(audit.ledger, steps=(*firm, *assumed)))
    level = bars.before.stop
    if firm:
        last = bars.steps[len(firm) - 1]
        level = last.stop if last.kind == "cost" else last.start
    after = replace(
        bars.after, money=audit.verdict.after, start=0.0, stop=level, low=None, high=None
    )
    return Fall(bars.before, bars.steps[: len(firm)], after, bars.steps[len(firm) :])


def parted(audit: Audit) -> tuple[list[LedgerStep], list[LedgerStep]]:
    """Split the ledger's steps that change something into found steps and assumed steps."""
    steps = [step for step in audit.ledger.steps if step.saved.usd != 0]
    return (
        [step for step in steps if step.saved.grade != "assumed"],
        [step for step in steps if step.saved.grade == "assumed"],
    )


def actions(audit: Audit, most: int = ACTIONS) -> tuple[Action, ...]:
    """Return the plan's largest steps that do not depend on assumptions, largest first."""
    firm = [step for step in audit.plan if step.grade != "assumed" and step.saved.usd > 0]
    sections = {step.lever: step.section or step.lever for step in audit.ledger.steps}
    largest = sorted(firm, key=lambda step: (-step.saved.usd, step.number))[:most]
    return tuple(
        Action(
            _title(step),
            step,
            sections.get(step.lever, step.lever),
            _cause(audit, sections.get(step.lever, step.lever)),
            risk(audit, step.lever),
        )
        for step in largest
    )


_LONGEST = 90  # characters of a change that is a title


def _title(step: PlanStep) -> str:
    """Return the first sentence of what to do; a long one is named instead."""
    change = said(step.change.split(". ")[0]).rstrip(".")
    return change if change and len(change) <= _LONGEST else said(step.title)


def _cause(audit: Audit, section: str) -> str:
    found = [
        one
        for one in ranked_findings(audit)
        if one.section == section and one.saved is not None and one.saved.usd > 0
    ]
    return found[0].title if found and section == "prefix" else ""


def risk(audit: Audit, lever: str) -> str:
    """Describe in one sentence what can go wrong with a lever, with the rate where there is one."""
    if lever != "semantic":
        return tr(_RISKS[lever]) if lever in _RISKS else ""
    point = audit.semantic.chosen if audit.semantic else None
    unsafe = point.unsafe_served_share if point else None
    if unsafe is None:
        return tr("Wrong answers: how many is not known, the log has no answers to compare.")
    if unsafe.high is None:
        return tr("Wrong answers to {share} of all requests.").format(share=share(unsafe.value))
    return tr("Wrong answers to {share} of all requests, at most {high}.").format(
        share=share(unsafe.value), high=share(unsafe.high)
    )


def headline(audit: Audit) -> str:
    """Describe in one line the current and the possible monthly spend."""
    now, after = audit.verdict.spend, audit.verdict.after
    if audit.spend.unpriced_share == 1 and audit.spend.total.requests:
        return tr("What this log cost is unknown: none of its tokens has a price.")
    if not audit.month.is_month:
        return tr("This log cost {now}. With every step it would have cost {after}.").format(
            now=usd(now.usd), after=usd(after.usd)
        )
    if audit.verdict.saving.usd > 0:
        return tr("You spend {now} a month. It can be {after}.").format(
            now=usd(now.usd), after=usd(after.usd)
        )
    return tr("You spend {now} a month. No sure saving was found.").format(now=usd(now.usd))


def verdict_line(audit: Audit) -> str:
    """Return the verdict's sentence; rebuild it from exact amounts for another currency."""
    if style().currency == "USD":
        return said(audit.verdict.headline)
    parts = (headline(audit), range_line(audit), worth_said(audit), support(audit))
    return " ".join(one for one in parts if one)


def worth_said(audit: Audit) -> str:
    """Describe how many steps pay for their effort; "" where all do, or the month is unknown."""
    steps = [step for step in audit.plan if step.worth is not None and step.saved.usd > 0]
    paying = sum(step.worth is True for step in steps)
    if not steps or paying == len(steps):
        return ""
    months = audit.ledger.horizon_months
    if not paying:
        return tr("At this traffic no step pays for its effort within {months} months.").format(
            months=months
        )
    return tr("{paying} of {steps} steps pay for their effort within {months} months.").format(
        paying=paying, steps=len(steps), months=months
    )


def range_line(audit: Audit) -> str:
    """Describe the possible saving and its range."""
    saving: Money = audit.verdict.saving
    if saving.usd <= 0 or audit.spend.unpriced_share == 1:
        return ""
    part = share(audit.verdict.saving_share)
    if saving.low_usd is None or saving.high_usd is None:
        return tr("{usd} less ({share}).").format(usd=usd(saving.usd), share=part)
    return tr("{usd} less ({share}), with 95% certainty between {low} and {high}.").format(
        usd=usd(saving.usd), share=part, low=usd(saving.low_usd), high=usd(saving.high_usd)
    )


def support(audit: Audit) -> str:
    """Describe in one sentence how far the log supports the figures."""
    quality = audit.quality
    guessed = quality.usage.get("estimated", 0) + quality.uncounted
    counted = tr("token counts from the provider")
    if guessed:
        counted = tr("token counts missing or estimated on {share} of requests").format(
            share=share(guessed / (quality.kept or 1))
        )
    facts = tr(
        "{requests} requests over {days}, {priced} of tokens with a price, {counted}, prompts on "
        "{prompts} and answers on {answers} of requests."
    ).format(
        requests=count(quality.kept),
        days=said(covered(quality)),
        priced=share(1 - audit.spend.unpriced_share),
        counted=counted,
        prompts=share(quality.prompt_share),
        answers=share(quality.answer_share),
    )
    return facts


def doubts(audit: Audit) -> tuple[str, ...]:
    """Return what weakens the figures: what the log can't show, then what needs caution."""
    told = [said(text) for text in audit.quality.cannot_tell]
    wanted: tuple[Severity, ...] = ("problem", "caution")
    bill = audit.ledger.before.usd
    weak: list[Finding] = [one for one in ranked_findings(audit) if severity(one, bill) in wanted]
    return (*(said(one.title) for one in weak), *told)
