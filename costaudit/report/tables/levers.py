"""The levers beside the caches, and what judges said, as tables."""

from collections.abc import Sequence
from dataclasses import replace

from costaudit.contracts.grades import Estimate
from costaudit.contracts.ledger import LeverRow, LeverTable, Suggestion
from costaudit.contracts.semantic import JudgeOpinion
from costaudit.report.language import said, separated, style, tr
from costaudit.report.numbers import count, share, share_range, usd
from costaudit.report.tables.table import Table


def judge_table(one: JudgeOpinion) -> Table:
    """Show what one judge's verdicts make of the hits."""
    rows = (
        (tr("hits that are right"), one.right_share),
        (tr("  by prediction-powered inference"), one.powered_share),
        (tr("  by the verdicts alone"), one.verdicts_alone_share),
        (tr("  by the comparison alone"), one.compared_share),
        (tr("wrong answers served, of all requests"), one.unsafe_served_share),
    )
    return Table(
        tr("{judge}: {verdicts} verdicts on {pairs} pairs").format(
            judge=one.judge, verdicts=count(one.verdicts), pairs=count(one.pairs)
        ),
        ("", "share", "95%"),
        tuple((name, share(of.value), share_range(of)) for name, of in rows if of is not None),
        note=said(one.note),
    )


def agreement_table(pairs: int, same_share: float, kappa: Estimate | None) -> Table:
    """Show how far two judges agree on the pairs that both judged."""
    chance = "" if kappa is None else separated(f"{kappa.value:.2f}")
    bounds = ""
    if kappa is not None and kappa.low is not None:
        bounds = separated(f"{kappa.low:.2f}–{kappa.high:.2f}")
    return Table(
        "The two judges",
        ("pairs that both judged", "same verdict", "Cohen's kappa", "95%"),
        ((count(pairs), share(same_share), chance, bounds),),
        left=(),
    )


_UNITS = 20  # units shown of each lever, those that save most first


def lever_page(row: LeverRow) -> tuple[Table, ...]:
    """Return one lever on its own: what it says, where, its evidence and the calls behind it."""
    about = (
        (tr("rule"), said(row.rule)),
        (tr("change"), said(row.change)),
        (tr("risk"), said(row.risk)),
        (tr("grade"), tr(row.alone.grade)),
        (tr("saved alone, a month"), usd(row.alone.usd)),
        (tr("saved in the ledger, a month"), usd(row.saved.usd)),
    )
    calls = Table(
        "The calls that it would change most",
        ("call", "time", "where", "input tokens", "output tokens", "billed USD", "saved USD"),
        tuple(
            (
                one.request_id,
                one.ts,
                one.unit,
                count(one.input_tokens),
                count(one.output_tokens),
                separated(f"{one.before_usd * style().rate:f}"),
                separated(f"{one.saved_usd * style().rate:f}"),
            )
            for one in row.calls
        ),
        left=(0, 1, 2),
    )
    return (
        Table(said(row.label), ("", ""), about, left=(0, 1), widest=70),
        replace(_units(row), note=""),
        *map(_evidence, row.evidence),
        calls,
    )


def lever_tables(rows: Sequence[LeverRow], tests: Sequence[Suggestion] = ()) -> tuple[Table, ...]:
    """Return the levers side by side, each with its evidence, and what is only worth a test."""
    told = (_evidence(one) for test in tests for one in test.evidence)
    return (*(_levers(rows) if rows else ()), *((tests_table(tests), *told) if tests else ()))


def tests_table(tests: Sequence[Suggestion]) -> Table:
    """Return what is worth a test: the log holds no evidence for money."""
    return Table(
        "Worth a test (no evidence in the log, and so no money)",
        ("what", "requests", "why", "the test"),
        tuple(
            (said(one.label), count(one.requests), said(one.why), said(one.test)) for one in tests
        ),
        left=(0, 2, 3),
    )


def _levers(rows: Sequence[LeverRow]) -> tuple[Table, ...]:
    return (
        Table(
            "Levers, a month",
            ("lever", "requests", "alone", "in the ledger", "grade"),
            tuple(
                (
                    said(row.label),
                    count(row.requests),
                    usd(row.alone.usd),
                    usd(row.saved.usd),
                    tr(row.saved.grade),
                )
                for row in rows
            ),
            left=(0, 4),
            note="alone: on the log as it is. In the ledger: on what identical questions, prompt "
            "caching and the levers above leave, so that these add up. Similar questions need "
            "vectors, which this command does not make: `costaudit analyze` puts them first.",
        ),
        *(_units(row) for row in rows),
        *(_evidence(one) for row in rows for one in row.evidence),
    )


def _evidence(one: LeverTable) -> Table:
    return Table(said(one.title), one.columns, tuple(tuple(map(said, row)) for row in one.rows))


def _units(row: LeverRow) -> Table:
    more = tr(" (the first {shown} of {all})").format(shown=_UNITS, all=count(len(row.units)))
    return Table(
        said(row.label) + (more if len(row.units) > _UNITS else ""),
        ("where", "model", "requests", "spend a month", "saved alone"),
        tuple(
            (*_named(unit.unit), count(unit.requests), usd(unit.before.usd), usd(unit.alone.usd))
            for unit in row.units[:_UNITS]
        ),
        left=(0, 1),
        note=" ".join(said(part) for part in (row.rule, row.change, row.risk) if part),
    )


def _named(unit: str) -> tuple[str, str]:
    """Part an endpoint from its model; a kind of useless call has none."""
    endpoint, _, model = unit.partition(" | ")
    return said(endpoint) or tr("not logged"), model
