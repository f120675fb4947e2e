"""Agents' sessions as tables."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from costaudit.contracts.sessions import (
    CAUSE_MENDS,
    CAUSE_NAMES,
    CauseRow,
    SessionRow,
    SessionsSection,
)
from costaudit.report.language import percent, said, separated, tr
from costaudit.report.numbers import count, counted, share, tokens, usd
from costaudit.report.tables.table import Table


def sessions_line(section: SessionsSection) -> str:
    """Return the spend of all sessions in one line, with what the table's notes don't hold."""
    spent = tr("{usd} for {sessions} of {calls}.").format(
        usd=usd(section.total_usd),
        sessions=counted(section.count, "session"),
        calls=counted(section.calls, "call"),
    )
    return " ".join([spent, *map(said, section.notes)])


def sessions_tables(section: SessionsSection) -> tuple[Table, ...]:
    """Return tables of causes, pauses, lifetimes, sessions, compactions, tools, loops, turns."""
    return (
        causes_table(section.causes, section.total_usd),
        _simulated(section),
        _idle(section),
        lifetimes_table(section),
        dearest_table(section),
        _compactions(section),
        _tools(section),
        _loops(section),
        *(_policies(row) for row in section.sessions if section.turns),
        _turns(section),
    )


def causes_table(rows: Sequence[CauseRow], total: Decimal) -> Table:
    """Return what was paid for, cause by cause."""
    return Table(
        "What the sessions paid for",
        ("cause", "calls", "tokens", "USD", "share", "above reading it", "mend"),
        tuple(
            (
                tr(CAUSE_NAMES[row.cause]),
                count(row.calls) if row.calls else "",
                tokens(row.tokens) if row.tokens else "",
                usd(row.usd),
                share(float(row.usd / total)) if total else "",
                usd(row.extra_usd) if row.extra_usd else "",
                tr(CAUSE_MENDS.get(row.cause, "")),
            )
            for row in rows
        ),
        left=(0, 6),
        note="Over the log's period; the causes add up to the spend of the sessions.",
    )


def _simulated(section: SessionsSection) -> Table:
    total = sum((row.usd for row in section.simulated_causes), Decimal(0))
    return replace(
        causes_table(section.simulated_causes, total),
        title=tr("The same with prompts cached for {lifetime} (simulated)").format(
            lifetime=said(section.simulated_policy)
        ),
        note="The log does not say what was read: this is what its prompts would be billed.",
    )


def _idle(section: SessionsSection) -> Table:
    return Table(
        "Paid again after pauses that outlive the cache",
        ("pause", "calls", "tokens", "USD", "as reads"),
        tuple(
            (tr(row.pause), count(row.calls), tokens(row.tokens), usd(row.usd), usd(row.read_usd))
            for row in section.idle
        ),
        note="as reads: what the same tokens would have cost from the cache.",
    )


def lifetimes_table(section: SessionsSection) -> Table:
    """Return what each lifetime would read, with one cache for each session."""
    rows: list[tuple[str, str, str, str]] = [
        (
            tr(row.lifetime),
            share_2(row.read_share),
            "" if row.units is None else _millions(row.units),
            "" if row.sessions_best is None else count(row.sessions_best),
        )
        for row in section.lifetimes
    ]
    if section.better_units is not None:
        better = _millions(section.better_units)
        rows.append((tr("the better one for each session"), "", better, ""))
    return Table(
        "Lifetimes, with one cache for each session whatever its model",
        ("lifetime", "read", "in input tokens", "cheaper in sessions"),
        tuple(rows),
        note="In input tokens: a read counts 0.1, a write 1.25 (5 min) or 2 (1 h). The dollars "
        "of the next table keep models apart and use each provider's rules.",
    )


def _millions(value: float) -> str:
    return f"{separated(f'{value / 1e6:,.3f}')} M"


def share_2(value: float) -> str:
    """Write a share with two decimals."""
    return percent(f"{100 * value:.2f}")


def dearest_table(section: SessionsSection) -> Table:
    """Return the dearest sessions with the lifetime that would have been cheapest."""
    return Table(
        tr("Dearest sessions (of {n})").format(n=count(section.count))
        if len(section.sessions) < section.count
        else "Sessions",
        ("session", "model", "calls", "turns", "input", "read", "sim.", "USD", "dearest miss",
         "lifetime", "cheapest", "saving"),
        tuple(_session(row) for row in section.sessions),
        left=(0, 1, 8, 9, 10),
        note="sim.: read share as simulated under the lifetime in use. saving: of the cheapest "
        "lifetime, known with hindsight; not claimed where simulation and bill differ by more "
        "than 25%.",
        widest=28,
    )  # fmt: skip


def _session(row: SessionRow) -> tuple[str, ...]:
    misses = [one for one in row.causes if one.cause in CAUSE_MENDS]
    worst = f"{tr(CAUSE_NAMES[misses[0].cause])}: {usd(misses[0].usd)}" if misses else ""
    return (
        row.session,
        ", ".join(row.models),
        count(row.calls),
        count(row.turns),
        tokens(row.input_tokens),
        "" if row.read_share is None else share(row.read_share),
        "" if row.simulated_read_share is None else share(row.simulated_read_share),
        usd(row.usd),
        worst,
        said(row.policy) or tr("not known"),
        said(row.best),
        tr("not claimed") if row.claim == "none" else usd(row.saving_usd),
    )


def _policies(row: SessionRow) -> Table:
    return Table(
        tr("Input of {session} under each lifetime").format(session=row.session),
        ("lifetime", "read", "pings", "of that for pings, USD", "USD"),
        tuple(
            (
                said(one.policy),
                share(one.read_share),
                count(one.pings) if one.pings else "",
                usd(one.ping_usd) if one.pings else "",
                usd(one.usd),
            )
            for one in row.policies
        ),
    )


def _compactions(section: SessionsSection) -> Table:
    return Table(
        "Compactions",
        ("session", "when", "before", "after", "calls behind", "cost, USD", "saved, USD",
         "net, USD"),
        tuple(
            (
                row.session,
                row.ts[:19],
                tokens(row.before_tokens),
                tokens(row.after_tokens),
                count(row.later_calls),
                usd(row.cost_usd),
                usd(row.saved_usd),
                usd(row.net_usd),
            )
            for row in section.compactions
        ),
        left=(0, 1),
        note="cost: sending again what is left, above reading it, and writing the summary where "
        "the log holds that call. saved: what was taken out, on the calls behind it.",
    )  # fmt: skip


def _tools(section: SessionsSection) -> Table:
    return Table(
        "Tool definitions in the prompts",
        ("tool", "sessions", "that call it", "uses", "tokens", "USD", "never called, USD",
         "break-even"),
        tuple(
            (
                row.tool,
                count(row.sessions),
                count(row.calling_sessions),
                count(row.uses),
                count(row.tokens),
                usd(row.usd),
                usd(row.unused_usd),
                "" if row.break_even is None else separated(f"{row.break_even:.2f}"),
            )
            for row in section.tools
        ),
        note="Amounts are as billed at the definition's place. never called: of sessions that "
        "carry it and never call it. break-even: loads in a session up to which loading it when "
        "it is needed is cheaper than carrying it.",
    )  # fmt: skip


def _loops(section: SessionsSection) -> Table:
    return Table(
        "Tool calls repeated with equal results",
        ("session", "tool", "repeats", "USD"),
        tuple((row.session, row.tool, count(row.repeats), usd(row.usd)) for row in section.loops),
        left=(0, 1),
    )


def _turns(section: SessionsSection) -> Table:
    return Table(
        "Turns and calls",
        ("agent", "turn", "time", "model", "input", "read", "paid again", "why", "output", "USD"),
        tuple(
            (
                turn.agent,
                count(turn.turn),
                call.ts[:19],
                call.model,
                tokens(call.input_tokens),
                tokens(call.read_tokens),
                tokens(call.missed_tokens) if call.missed_tokens else "",
                tr(CAUSE_NAMES.get(call.cause, "")),
                tokens(call.output_tokens),
                usd(call.usd),
            )
            for turn in section.turns
            for call in turn.calls
        ),
        left=(0, 2, 3, 7),
    )
