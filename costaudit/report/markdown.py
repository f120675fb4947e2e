"""The audit as a comment on a pull request: a verdict, five rows, the rest folded."""

from collections.abc import Iterable, Sequence

from costaudit.contracts.audit import Audit, GateResult
from costaudit.contracts.grades import Estimate, Money
from costaudit.contracts.semantic import SemanticSection, SweepPoint
from costaudit.report.compare import Comparison
from costaudit.report.comparison import comparison_lines, markdown_table
from costaudit.report.escaping import cut, markdown_code, markdown_text
from costaudit.report.first_screen import support, worth_said
from costaudit.report.language import said, separated, tr
from costaudit.report.numbers import count, share, share_range, similarity, spent, usd, usd_range
from costaudit.report.summary import ranked_findings, severity, spread, why_none
from costaudit.report.tables.invoice import invoice_tables
from costaudit.report.tables.policies import COLUMNS, TITLE, policy_cells, policy_note
from costaudit.report.tables.replay import replay_lines
from costaudit.report.tables.route import route_tables
from costaudit.report.tables.table import Table, heading

MOST_CHARACTERS = 60_000  # below what a GitHub comment holds
_TOP = 20  # rows of a folded table
_POINTS = 40  # thresholds of the sweep
_TEXT = 400  # characters of a text from the log
_COMPARED = (  # with the rows of the headline table after spend
    "Prompt-cache reads", "Valid semantic hits", "Unsafe answers served", "Unpriced tokens",
)  # fmt: skip
_MARK = {"passed": "✅ passed", "failed": "❌ failed", "insufficient": "⚠️ can't tell"}


class MarkdownReporter:
    """Write the verdict for a comment or a job summary, with gates and a comparison if given."""

    name = "md"
    suffix = ".md"

    def __init__(
        self, *, gates: tuple[GateResult, ...] = (), compared: Comparison | None = None
    ) -> None:
        self._gates = gates
        self._compared = compared

    def render(self, audit: Audit) -> bytes:
        """Render below 60,000 characters; sections that don't fit are named."""
        compared = self._compared
        head = [
            f"### {self._title(audit)}",
            "",
            *markdown_table(*self._rows(audit, compared)),
            *self._missed(),
            *_cause(audit),
        ]
        if told := worth_said(audit):
            head += ["", markdown_text(told)]
        if audit.verdict.draft:
            head += ["", f"**{tr('DRAFT')}**: {markdown_text(said(audit.verdict.draft))}"]
        return _fitted("\n".join(head), self._sections(audit, compared)).encode()

    def _title(self, audit: Audit) -> str:
        saving = audit.verdict.saving
        worth = usd_range(saving) or usd(saving.usd)
        title = tr("LLM cost audit: {worth} a month can be saved ({grade})").format(
            worth=worth, grade=tr(saving.grade)
        )
        if not audit.spend.has_price:
            title = tr("LLM cost audit: no token has a price")
        failed = sum(gate.status == "failed" for gate in self._gates)
        unsure = sum(gate.status == "insufficient" for gate in self._gates)
        if self._gates and not failed and not unsure:
            title += tr(", all gates passed")
        if failed:
            title += tr(", {failed} of {all} gates failed").format(
                failed=failed, all=len(self._gates)
            )
        if unsure:
            title += tr(", {n} can't be judged").format(n=unsure)
        return title

    def _rows(self, audit: Audit, compared: Comparison | None) -> tuple[list[str], list[list[str]]]:
        """Build the five rows: spend, cache reads, valid hits, unsafe answers, coverage."""
        point, prefix = _recommended(audit), audit.prefix
        at = f" ({tr('similarity')} {similarity(point.min_similarity)})" if point else ""
        if point and point.min_similarity > 1:
            at = f" ({tr('identical')})"
        rows = [
            [tr("Spend a month"), *_money(audit.verdict.spend), "max_cost_regression"],
            [
                tr("Prompt-cache reads, share of input"),
                *_estimate(prefix.billed_read_share if prefix else None),
                "min_prefix_read_share",
            ],
            [
                tr("Valid semantic hits") + at,
                *_estimate(point.valid_hit_share if point else None),
                "",
            ],
            [
                tr("Wrong answers, share of all"),
                *_estimate(point.unsafe_served_share if point else None),
                "max_unsafe_served",
            ],
            [
                tr("Tokens without a price"),
                share(audit.spend.unpriced_share),
                "",
                tr("measured"),
                "max_unpriced_share",
            ],
        ]
        names = ["", *map(tr, ("this run", "95% range", "grade"))]
        if compared is not None:
            named = {change.name: change for change in compared.changes}
            changes = [compared.spend, *(named[tr(name)] for name in _COMPARED)]
            names = ["", tr("baseline"), *names[1:], tr("change")]
            for row, change in zip(rows, changes, strict=True):
                row.insert(1, change.written(change.base))
                row.insert(5, change.verdict)
        status = {gate.rule: f"{_marked(gate)}, {said(gate.limit)}" for gate in self._gates}
        body = [[*row[:-1], status.get(row[-1], "")] if status else row[:-1] for row in rows]
        return [*names, tr("gate")] if status else names, body

    def _missed(self) -> list[str]:
        missed = [gate for gate in self._gates if gate.status != "passed"]
        lines = [
            f"- {_marked(gate)}: {markdown_code(gate.rule)} {markdown_text(said(gate.measured))}, "
            f"{tr('limit')} {markdown_text(said(gate.limit))}. {markdown_text(said(gate.detail))}"
            for gate in missed
        ]
        return ["", *lines] if lines else []

    def _sections(
        self, audit: Audit, compared: Comparison | None
    ) -> Iterable[tuple[str, list[str]]]:
        if compared is not None:
            yield tr("What changed"), comparison_lines(compared)
        if self._gates:
            yield tr("Gates"), _gates(self._gates)
        yield tr("Where the money goes"), _ledger(audit)
        yield tr("What to do"), _plan(audit)
        yield tr("Findings"), _findings(audit)
        if audit.semantic is not None:
            yield tr("Similarity thresholds"), _sweep(audit.semantic)
            yield from _policies(audit.semantic)
        elif audit.uncacheable:
            yield tr("Similarity thresholds"), [f"{why_none(audit)}."]
        if audit.replay is not None:
            yield tr("Replay against a live cache"), replay_lines(audit.replay)
        for one in audit.routes:
            yield one.candidate, _tables(route_tables(one))
        for name in ("model", "endpoint", "tenant"):
            if audit.spend.by.get(name):
                yield f"{tr('Spend by')} {tr(name)}", _spend(audit, name)
        if audit.spend.invoice is not None:
            yield tr("Invoice and log"), _tables(invoice_tables(audit.spend.invoice))
        yield tr("Data and assumptions"), _quality(audit)


def _tables(shown: Iterable[Table]) -> list[str]:
    lines: list[str] = []
    for table in shown:
        lines += [f"**{heading(table.title)}**", ""] if lines else []
        rows = [[markdown_text(cell) for cell in row] for row in table.rows]
        lines += [*markdown_table([*map(heading, table.columns)], rows), "", table.note, ""]
    return lines


def _cause(audit: Audit) -> list[str]:
    """Name the most expensive finding in plain words, with its repair."""
    dearest = next((one for one in ranked_findings(audit) if one.saved and one.saved.usd > 0), None)
    if dearest is None or dearest.saved is None:
        return []
    title = markdown_text(cut(said(dearest.title), _TEXT)).rstrip(".")
    mend = markdown_text(cut(said(dearest.change), _TEXT))
    cost = f"{usd(dearest.saved.usd)} {tr('a month')}"
    return ["", f"**{tr('Largest cause')}: {title}** ({cost}). {mend}".rstrip()]


def _marked(gate: GateResult) -> str:
    sign, _, word = _MARK[gate.status].partition(" ")
    return f"{sign} {tr(word)}"


def _gates(gates: Sequence[GateResult]) -> list[str]:
    rows = [
        [
            markdown_code(g.rule),
            *(markdown_text(said(one)) for one in (g.limit, g.measured)),
            _marked(g),
        ]
        for g in gates
    ]
    return markdown_table([*map(tr, ("rule", "limit", "measured")), ""], rows)


def _ledger(audit: Audit) -> list[str]:
    ledger = audit.ledger
    rows = [[tr("Spend now"), *_money(ledger.before)]]
    for step in ledger.steps:
        amount, *rest = _money(step.saved)
        rows.append([f"{markdown_text(said(step.label))}, {tr('saved')}", amount, *rest])
    rows.append([tr("After"), *_money(audit.verdict.after)])
    rows.append([tr("Overlap, counted once"), *_money(ledger.overlap)])
    return markdown_table([*map(tr, ("a month", "amount", "95% range", "grade"))], rows)


def _plan(audit: Audit) -> list[str]:
    lines = []
    for step in audit.plan[:_TOP]:
        worth, within, grade = _money(step.saved)
        spread = f", {within}" if within else ""
        lines.append(
            f"{step.number}. {markdown_text(said(step.title))}: {worth} {tr('a month')} "
            f"({grade}{spread}), {separated(f'{step.effort_hours:f}')} {tr('hours')}"
            + (f", {tr('not worth it at this traffic')}" if step.worth is False else "")
        )
    lines += _rest(len(audit.plan), len(lines), "steps")
    return lines or [tr("No step pays for itself on this log.")]


def _findings(audit: Audit) -> list[str]:
    findings = ranked_findings(audit)
    lines = []
    for finding in findings[:_TOP]:
        worth = (
            f" **{usd(finding.saved.usd)} {tr('a month')}** ({tr(finding.saved.grade)})."
            if finding.saved
            else ""
        )
        kind = severity(finding, audit.ledger.before.usd)
        change = f" {markdown_text(cut(said(finding.change), _TEXT))}" if finding.change else ""
        lines.append(
            f"- {tr(kind)}: {markdown_text(cut(said(finding.title), _TEXT))}{worth} "
            f"{markdown_text(cut(said(finding.detail), _TEXT))}{change}"
        )
    return [*lines, *_rest(len(findings), len(lines), "findings")] or [tr("None.")]


def _sweep(section: SemanticSection) -> list[str]:
    points = section.points
    shown = list(spread(points, _POINTS) if len(points) > _POINTS else points)
    rows = [
        [
            similarity(point.min_similarity)
            + (f" ({tr('recommended')})" if point.recommended else ""),
            *_rates(point),
        ]
        for point in (*shown, *([section.exact] if section.exact else []))
    ]
    names = [
        f"{tr('similarity')} ≥",
        *map(tr, ("raw hits", "valid hits", "wrong answers", "95% range", "net a month")),
    ]
    return markdown_table(names, rows) + _rest(len(points), len(shown), "thresholds")


def _policies(section: SemanticSection) -> Iterable[tuple[str, list[str]]]:
    trials = section.trials
    if trials is not None:
        rows = [list(policy_cells(row)) for row in trials.rows]
        lines = markdown_table(list(map(tr, COLUMNS)), rows) if rows else []
        yield tr(TITLE), [*lines, "", markdown_text(policy_note(trials))]


def _rates(one: SweepPoint) -> list[str]:
    return [
        _estimate(one.raw_hit_share)[0],
        _estimate(one.valid_hit_share)[0],
        *_estimate(one.unsafe_served_share)[:2],
        usd(one.net_saved.usd),
    ]


def _spend(audit: Audit, name: str) -> list[str]:
    groups = audit.spend.by[name]
    rows = [
        [
            markdown_code(cut(row.group or tr("not logged"), _TEXT)),
            count(row.cost.requests),
            spent(row.cost.total_usd, row.cost.unpriced),
            share(row.share),
        ]
        for row in groups[:_TOP]
    ]
    lines = markdown_table([tr(name), *map(tr, ("requests", "cost of the log", "share"))], rows)
    return lines + _rest(len(groups), len(rows), "groups")


def _quality(audit: Audit) -> list[str]:
    quality = audit.quality
    lines = [
        f"- {support(audit)}",
        "- "
        + tr("{rows} rows read: {kept} kept, {merged} merged, {skipped} skipped.").format(
            rows=count(quality.rows),
            kept=count(quality.kept),
            merged=count(quality.merged),
            skipped=count(quality.skipped),
        ),
        f"- {markdown_text(quality.first_ts or tr('no time'))} – "
        f"{markdown_text(quality.last_ts or tr('no time'))}.",
        f"- {tr('Prices')}: {markdown_text(audit.prices_source)}.",
    ]
    lines += [
        f"- {tr('assumed')}: {markdown_text(said(a.name))} = {markdown_text(said(a.value))}. "
        f"{markdown_text(said(a.why))}"
        for a in audit.assumptions[:_TOP]
    ]
    lines += [f"- {markdown_text(said(text))}" for text in quality.cannot_tell[:_TOP]]
    dropped = max(len(audit.assumptions) - _TOP, 0) + max(len(quality.cannot_tell) - _TOP, 0)
    more = tr("And {n} more.").format(n=count(dropped))
    return [*lines, f"- {more}"] if dropped else lines


def _rest(whole: int, shown: int, what: str) -> list[str]:
    """Describe how many entries of a list are left out."""
    return (
        [
            "",
            tr("{shown} of {all} {what} are shown.").format(
                shown=count(shown), all=count(whole), what=tr(what)
            ),
        ]
        if shown < whole
        else []
    )


def _recommended(audit: Audit) -> SweepPoint | None:
    return audit.semantic.chosen if audit.semantic else None


def _money(money: Money) -> list[str]:
    return [usd(money.usd), usd_range(money), tr(money.grade)]


def _estimate(estimate: Estimate | None) -> list[str]:
    if estimate is None:
        return [tr("not known"), "", ""]
    return [share(estimate.value), share_range(estimate), tr(estimate.grade)]


def _fitted(head: str, sections: Iterable[tuple[str, list[str]]]) -> str:
    """Add folded sections while they fit, then name the sections that do not fit."""
    room = MOST_CHARACTERS - 500
    text, left_out = head + "\n", []
    for title, lines in sections:
        folded = "\n".join(
            ["", f"<details><summary>{title}</summary>", "", *lines, "", "</details>", ""]
        )
        if len(text) + len(folded) < room:
            text += folded
        else:
            left_out.append(title)
    if left_out:
        told = tr("Left out for length: {names}. The HTML report has them.")
        text += f"\n{told.format(names=', '.join(left_out))}\n"
    return text
