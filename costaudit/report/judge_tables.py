"""What judges said, as tables."""

from costaudit.contracts.grades import Estimate
from costaudit.contracts.judging import JudgeOpinion
from costaudit.report.numbers import share, share_range
from costaudit.report.table import Table


def judge_table(one: JudgeOpinion) -> Table:
    """Show what one judge's verdicts make of the hits."""
    rows = (
        ("hits that are right", one.right_share),
        ("  by prediction-powered inference", one.powered_share),
        ("  by the verdicts alone", one.verdicts_alone_share),
        ("  by the comparison alone", one.compared_share),
        ("wrong answers served, of all requests", one.unsafe_served_share),
    )
    return Table(
        f"{one.judge}: {one.verdicts:,} verdicts on {one.pairs:,} pairs",
        ("", "share", "95 %"),
        tuple((name, share(of.value), share_range(of)) for name, of in rows if of is not None),
        note=one.note,
    )


def agreement_table(pairs: int, same_share: float, kappa: Estimate | None) -> Table:
    """Show how far two judges agree on the pairs that both judged."""
    chance = "" if kappa is None else f"{kappa.value:.2f}"
    bounds = "" if kappa is None or kappa.low is None else f"{kappa.low:.2f}–{kappa.high:.2f}"
    return Table(
        "The two judges",
        ("pairs that both judged", "same verdict", "Cohen's kappa", "95 %"),
        ((f"{pairs:,}", share(same_share), chance, bounds),),
        left=(),
    )
