"""Build the section on sessions: what they cost, why, and what costs less."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from costaudit.contracts.sessions import (
    CAUSES,
    CallRow,
    CauseRow,
    SessionRow,
    SessionsSection,
    TurnRow,
)
from costaudit.costing.cost import per_request_usd
from costaudit.errors import InsufficientDataError, UsageError
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.sessions.causes import SessionMoney, by_session, usd_of
from costaudit.pipeline.sessions.events import compaction_rows, loop_rows, tool_rows
from costaudit.pipeline.sessions.policies import SessionPolicies, lifetime_rows, money
from costaudit.simulate.prefix.sessions.facts import SessionFacts, session_facts
from costaudit.simulate.prefix.tree.prompts import Prompts, read_prompts

LISTED = 200  # most expensive sessions
IN_REPORT = 20  # of each kind


def sessions_of(
    log: Loaded, prompts: Prompts | None = None, session: str = ""
) -> SessionsSection | None:
    """Return what the sessions of a log cost, and why; None if no call names a session.

    `session` names one to list with its turns and calls. Raises UsageError if it matches none or
    several.
    """
    facts = session_facts(log.requests, prompts or read_prompts(log.requests, log.blocks))
    if facts is None:
        return None
    return _Section(log, facts).build(session)


def names_sessions(log: Loaded) -> bool:
    """Return whether a call belongs to an agent's session."""
    named: bool = log.requests.select(pl.col("session").is_not_null().any()).item()
    return named


def agents_sessions(log: Loaded, prompts: Prompts, named: bool) -> SessionsSection | None:
    """Return the report's section; None if no call belongs to an agent's session.

    Sessions are listed by name only if `named`.
    """
    if not names_sessions(log):
        return None
    section = sessions_of(log, prompts)
    if section is None:
        return None
    return replace(
        section,
        sessions=section.sessions[:IN_REPORT] if named else (),
        compactions=section.compactions[:IN_REPORT] if named else (),
        loops=section.loops[:IN_REPORT] if named else (),
        tools=section.tools[:IN_REPORT],
    )


def no_sessions() -> InsufficientDataError:
    """Return the error for a log whose calls name no session."""
    return InsufficientDataError(
        "No call of this log names a session or a conversation.",
        hint="Log a session or conversation id with each call, or map a column to `conversation`.",
    )


@dataclass(frozen=True)
class _Section:
    log: Loaded
    facts: SessionFacts

    def build(self, asked: str) -> SessionsSection:
        """Return the priced section."""
        log, facts = self.log, self.facts
        spent = SessionMoney(log.tariff, facts, facts.calls, facts.billed, beside=True)
        simulated = self._simulated()
        policies = SessionPolicies(facts, log.requests, log.tariff.billed)
        every = spent.total()
        numbers = [self._number(asked)] if asked else self._dearest()
        causes = spent.by(pl.Series(facts.threads.session), set(numbers))
        rows = [self._session(number, causes[number], policies) for number in numbers]
        lifetimes, better = lifetime_rows(facts)
        saving, grade = policies.savings
        return SessionsSection(
            sessions=tuple(sorted(rows, key=lambda row: (-row.usd, row.session))),
            count=len(facts.threads.names),
            calls=int((facts.threads.session >= 0).sum()),
            total_usd=usd_of(every),
            causes=every,
            idle=(simulated or spent).idle(),
            lifetimes=lifetimes,
            better_units=better,
            saving_usd=saving,
            saving_grade=grade,
            compactions=compaction_rows(log, facts),
            tools=tool_rows(log, facts),
            loops=loop_rows(log, facts),
            simulated_causes=simulated.total() if simulated else (),
            simulated_policy=facts.simulated[0].policy.name if facts.simulated else "",
            turns=self._turns(numbers[0]) if asked else (),
            notes=self._notes(),
        )

    def _simulated(self) -> SessionMoney | None:
        """Return the causes of a log without cache counters, with simulated caching."""
        if self.facts.simulated is None:
            return None
        run, calls = self.facts.simulated
        return SessionMoney(self.log.tariff, self.facts, calls, run.tokens, beside=False)

    def _dearest(self) -> list[int]:
        usd = np.nan_to_num(per_request_usd(self.log.tariff.classes, self.log.tariff.billed))
        of_session = by_session(usd, self.facts)
        order = np.lexsort((np.arange(len(of_session)), -of_session))
        return [int(number) for number in order[:LISTED]]

    def _number(self, asked: str) -> int:
        names = self.facts.threads.names.to_list()
        found = [number for number, name in enumerate(names) if name == asked]
        found = found or [number for number, name in enumerate(names) if name.startswith(asked)]
        if len(found) == 1:
            return found[0]
        what = "No session is" if not found else f"{len(found):,} sessions are"
        near = ", ".join(names[number] for number in (found or range(len(names)))[:3])
        raise UsageError(f"{what} called {asked!r}.", hint=f"Name one of them: {near} ...")

    def _session(
        self, number: int, causes: tuple[CauseRow, ...], policies: SessionPolicies
    ) -> SessionRow:
        rows = np.flatnonzero(self.facts.threads.session == number)
        calls = self.log.requests[rows]
        first, last = calls["ts"].min(), calls["ts"].max()
        minutes = 0.0 if first is None or last is None else (last - first).total_seconds() / 60  # type: ignore[operator, union-attr]
        billed, simulated = policies.read_shares(number)
        return SessionRow(
            session=self.facts.threads.names[number],
            agents=calls["agent"].n_unique() - int(calls["agent"].null_count() > 0),
            models=tuple(calls["model"].drop_nulls().unique().sort().to_list()),
            started="" if first is None else first.isoformat(),  # type: ignore[union-attr]
            minutes=round(minutes, 1),
            turns=len(set(self._turn_keys(rows))),
            calls=len(rows),
            input_tokens=int(self.facts.billed[rows].sum()),
            usd=usd_of(causes),
            causes=causes,
            read_share=billed,
            simulated_read_share=simulated,
            policy=policies.in_use(number),
            best=policies.best_name(number),
            policies=policies.costs(number),
            saving_usd=money(policies.saving(number)),
            claim=policies.claim(number),
        )

    def _turn_keys(self, rows: np.ndarray) -> list[tuple[int, int]]:
        """Return thread and turn of calls; without prompts, each call is a turn."""
        told = self.log.requests["turn_index"].gather(rows)
        thread = self.facts.threads.thread[rows]
        return [
            (int(one), int(turn) if turn is not None else -1 - int(row))
            for one, turn, row in zip(thread, told, rows, strict=True)
        ]

    def _turns(self, number: int) -> tuple[TurnRow, ...]:
        """Return the turns of a session with their calls, in order of time."""
        order = self.facts.threads.order
        rows = order[self.facts.threads.session[order] == number]
        usd = np.nan_to_num(per_request_usd(self.log.tariff.classes, self.log.tariff.billed))
        found: dict[tuple[int, int], list[int]] = {}
        for key, row in zip(self._turn_keys(rows), rows.tolist(), strict=True):
            found.setdefault(key, []).append(row)
        seen: dict[int, int] = {}
        turns = []
        for (thread, _), members in found.items():
            seen[thread] = seen.get(thread, 0) + 1
            calls = tuple(self._call(row, float(usd[row])) for row in members)
            agent = self.log.requests["agent"][members[0]] or ""
            total = money(sum(float(usd[row]) for row in members))
            turns.append(TurnRow(agent, seen[thread], total, calls))
        return tuple(turns)

    def _call(self, row: int, usd: float) -> CallRow:
        calls, one = self.facts.calls, self.log.requests.row(row, named=True)
        gap = calls.gap_s[row]
        return CallRow(
            request_id=one["request_id"],
            ts="" if one["ts"] is None else one["ts"].isoformat(),
            model=one["model"] or "",
            input_tokens=int(self.facts.billed[row].sum()),
            read_tokens=int(calls.read[row]),
            missed_tokens=int(calls.missed[row]),
            cause=CAUSES[calls.cause[row]] if calls.missed[row] else "",
            gap_s=None if np.isnan(gap) else round(float(gap), 3),
            output_tokens=int(one["output_tokens"] or 0),
            usd=money(usd),
        )

    def _notes(self) -> tuple[str, ...]:
        """Return notes about what the tables leave out, and about assumptions."""
        requests, facts = self.log.requests, self.facts
        outside = int((facts.threads.session < 0).sum())
        inside = facts.threads.session >= 0
        bare = inside & (requests["segments"].list.len().fill_null(0) == 0).to_numpy()
        untold = inside & ~facts.calls.counted
        unpriced = inside & self.log.tariff.billed.rate_ids.is_null().to_numpy()
        untimed = inside & requests["ts"].is_null().to_numpy()
        counts = (
            (outside, "belong to no session: they name none, or reached no model"),
            (int(bare.sum()), "carry no prompt: what they share is read from their counters"),
            (int(untold.sum()), "do not say what they read from the cache"),
            (int(unpriced.sum()), "have no known price and add nothing to the dollars"),
            (int(untimed.sum()), "carry no time: their pauses are unknown"),
        )
        return tuple(f"{number:,} calls {words}." for number, words in counts if number)
