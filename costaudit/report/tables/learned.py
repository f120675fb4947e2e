"""Thresholds that the entries of a cache learn, beside one threshold for all."""

from costaudit.contracts.grades import Estimate
from costaudit.contracts.semantic import LearnedRow, SemanticSection, SweepPoint
from costaudit.report.language import said, tr
from costaudit.report.numbers import count, share, share_range, similarity, usd
from costaudit.report.tables.table import Table


def learned_tables(section: SemanticSection) -> tuple[Table, ...]:
    """Return the learned thresholds below the recommended one and exact matching; none without."""
    learned = section.learned
    if learned is None:
        return ()
    rows = [_row(tr("learned by each entry"), learned)]
    if section.exact is not None:
        rows.insert(0, _row(tr("identical"), section.exact))
    if section.chosen is not None and section.chosen is not section.exact:
        same = section.chosen.min_similarity
        rows.insert(0, _row(f"{similarity(same)} {tr('recommended')}", section.chosen))
    return (
        Table(
            "One threshold, or one that each entry learns (vCache)",
            ("threshold", "hits", "raw", "valid", "unsafe", "95%", "net a month"),
            tuple(rows),
            note=learned_note(learned),
        ),
    )


def learned_note(learned: LearnedRow) -> str:
    """Say what learned thresholds add, what they cost, and that they are never recommended."""
    told = tr(
        "To learn, {n} calls were compared with an entry's answer; at most {share} of the answers "
        "to questions that it compares should be wrong. It is shown for comparison and never "
        "recommended."
    ).format(n=count(learned.explored), share=share(learned.max_wrong_share))
    return f"{said(learned.why)} {told}"


def _row(name: str, one: LearnedRow | SweepPoint) -> tuple[str, ...]:
    return (
        name,
        count(one.hits),
        share(one.raw_hit_share.value),
        *_judged(one.valid_hit_share, one.unsafe_served_share),
        usd(one.net_saved.usd),
    )


def _judged(valid: Estimate | None, unsafe: Estimate | None) -> tuple[str, str, str]:
    return (_share(valid), _share(unsafe), "" if unsafe is None else share_range(unsafe))


def _share(estimate: Estimate | None) -> str:
    return tr("not known") if estimate is None else share(estimate.value)
