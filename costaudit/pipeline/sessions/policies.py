"""Find the cache lifetime with the lowest cost for each session."""

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.contracts.grades import PER_MTOK, Grade, Pricing
from costaudit.contracts.prefix import Claim
from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.contracts.sessions import LifetimeRow, PolicyCost
from costaudit.pipeline.sessions.causes import by_session
from costaudit.simulate.prefix.advice.claims import claim_of
from costaudit.simulate.prefix.sessions.facts import SessionFacts
from costaudit.simulate.prefix.sessions.lifetimes import LifetimeRun, offered

READ_UNITS, WRITE_UNITS = 0.1, {"5 min": 1.25, "1 h": 2.0}  # multiples of the input price
_READ = INPUT_CLASSES.index("cache_read_tokens")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SessionPolicies:
    """The cost of each session under each lifetime that its calls can request."""

    facts: SessionFacts
    requests: pl.DataFrame
    pricing: Pricing

    @cached_property
    def usd(self) -> Floats:
        """Return dollars by session and run; infinite if a call can't have the lifetime."""
        found = []
        for run in self.facts.runs:
            usd = self._input_usd(run.tokens) + self._ping_usd(run)
            of_session = by_session(usd, self.facts)
            barred = by_session(
                (~offered(self.facts.assigned, run.policy)).astype(np.float64), self.facts
            )
            found.append(np.where(barred > 0, np.inf, of_session))
        return np.stack(found, axis=1)

    @cached_property
    def _rates(self) -> Floats:
        rates = self.pricing.rates.select(pl.col(PER_MTOK).cast(pl.Float64)).to_numpy()
        table = np.vstack([rates, np.zeros((1, len(PER_MTOK)))])
        ids = self.pricing.rate_ids.cast(pl.Int64).fill_null(len(rates)).to_numpy()
        return np.asarray(table[ids] / 1e6)

    def _input_usd(self, tokens: NDArray[np.int64]) -> Floats:
        return np.asarray((tokens * self._rates[:, : len(INPUT_CLASSES)]).sum(axis=1))

    def _ping_usd(self, run: LifetimeRun) -> Floats:
        """Return the price of pings: each reads the whole prompt and generates one token."""
        return np.asarray(run.ping_tokens * self._rates[:, _READ] + run.pings * self._rates[:, -1])

    @cached_property
    def _in_use(self) -> NDArray[np.int64]:
        """Return, by session, the run with the lifetime that its calls request; -1 if unknown."""
        names = [run.policy.name for run in self.facts.runs]
        written = {
            name: by_session(self._column(column), self.facts)
            for name, column in (
                ("5m", "cache_write_5m_tokens"),
                ("1h", "cache_write_1h_tokens"),
            )
        }
        other = by_session(self._column("cache_write_other_tokens"), self.facts)
        read = by_session(self._column("cache_read_tokens"), self.facts)
        counted = by_session(self.facts.calls.counted.astype(np.float64), self.facts)
        default = self._default(names)
        used = np.where(
            written["1h"] > written["5m"] + other,
            names.index("1h") if "1h" in names else -1,
            np.where(written["5m"] >= other, names.index("5m") if "5m" in names else -1, default),
        )
        cached = written["5m"] + written["1h"] + other + read
        automatic = (written["5m"] + written["1h"] + other == 0) & (read > 0)
        used = np.where(automatic, -1, used)
        return np.where(counted == 0, -1, np.where(cached == 0, names.index("none"), used))

    def _column(self, name: str) -> Floats:
        return self.requests[name].fill_null(0).to_numpy().astype(np.float64)

    def _default(self, names: list[str]) -> NDArray[np.int64]:
        """Return, by session, the run with the lifetime of its other writes, or else 5m."""
        told = self.requests["cache_write_other_ttl"].fill_null("5m")
        code = told.replace_strict(
            {name: number for number, name in enumerate(names)}, default=-1, return_dtype=pl.Int64
        ).to_numpy()
        found = np.full(len(self.facts.threads.names), -1, np.int64)
        chosen = self.facts.threads.session >= 0
        np.maximum.at(found, self.facts.threads.session[chosen], code[chosen])
        return found

    @cached_property
    def best(self) -> NDArray[np.int64]:
        """Return, by session, the cheapest run; of equal ones, the simplest."""
        return np.asarray(np.argmin(np.round(self.usd, 9), axis=1))

    @cached_property
    def _reads(self) -> Floats:
        return np.stack(
            [
                by_session(run.tokens[:, _READ].astype(np.float64), self.facts)
                for run in self.facts.runs
            ],
            axis=1,
        )

    @cached_property
    def _input(self) -> Floats:
        return by_session(self.facts.billed.sum(axis=1).astype(np.float64), self.facts)

    @cached_property
    def _billed_read(self) -> Floats:
        return by_session(self.facts.billed[:, _READ].astype(np.float64), self.facts)

    def claim(self, session: int) -> Claim:
        """Return how much of a session's saving the bill supports."""
        used = int(self._in_use[session])
        if used < 0 or not np.isfinite(self.usd[session, used]):
            return "none"
        return claim_of(
            int(self._billed_read[session]),
            int(self._reads[session, used]),
            int(self._input[session]),
        )

    def saving(self, session: int) -> float:
        """Return what the best lifetime saves, as far as the bill supports it."""
        claim = self.claim(session)
        if claim == "none":
            return 0.0
        used, best = int(self._in_use[session]), int(self.best[session])
        saved = float(self.usd[session, used] - self.usd[session, best])
        simulated, billed = float(self._reads[session, used]), float(self._billed_read[session])
        share = 1.0 if claim == "simulated" else min(billed, simulated) / max(billed, simulated)
        return max(saved, 0.0) * share

    @cached_property
    def savings(self) -> tuple[Decimal, Grade]:
        """Return the savings of all sessions, and their grade."""
        sessions = range(len(self.facts.threads.names))
        total = sum(self.saving(number) for number in sessions)
        estimated = any(self.claim(number) == "estimated" for number in sessions)
        return money(total), "estimated" if estimated else "simulated"

    def in_use(self, session: int) -> str:
        """Return the name of the lifetime that a session requests; "" if unknown."""
        used = int(self._in_use[session])
        return self.facts.runs[used].policy.name if used >= 0 else ""

    def best_name(self, session: int) -> str:
        """Return the name of a session's cheapest lifetime."""
        return self.facts.runs[int(self.best[session])].policy.name

    def read_shares(self, session: int) -> tuple[float | None, float | None]:
        """Return the share of a session's input that was read, as billed and as simulated."""
        used, size = int(self._in_use[session]), max(float(self._input[session]), 1.0)
        rows = self.facts.threads.session == session
        told = bool(self.facts.calls.counted[rows].any())
        return (
            float(self._billed_read[session]) / size if told else None,
            float(self._reads[session, used]) / size if used >= 0 else None,
        )

    def costs(self, session: int) -> tuple[PolicyCost, ...]:
        """Return a session's cost under each lifetime that it can request."""
        rows = np.flatnonzero(self.facts.threads.session == session)
        size = max(float(self._input[session]), 1.0)
        return tuple(
            PolicyCost(
                policy=run.policy.name,
                usd=money(float(self.usd[session, place])),
                ping_usd=money(float(self._ping_usd(run)[rows].sum())) if run.policy.pings
                else Decimal(0),
                pings=int(run.pings[rows].sum()),
                read_share=float(self._reads[session, place]) / size,
            )
            for place, run in enumerate(self.facts.runs)
            if np.isfinite(self.usd[session, place])
        )  # fmt: skip


def money(usd: float) -> Decimal:
    """Return simulated dollars, rounded to millionths."""
    return Decimal(f"{usd:.6f}")


def lifetime_rows(facts: SessionFacts) -> tuple[tuple[LifetimeRow, ...], float | None]:
    """Return what each lifetime reads with one cache per session, and the better one for each.

    Units are input tokens: reads cost READ_UNITS of one, writes WRITE_UNITS.
    """
    size = by_session(facts.billed.sum(axis=1).astype(np.float64), facts)
    units: dict[str, Floats] = {}
    shares = {}
    for name, shared in facts.shared:
        read = by_session(shared.astype(np.float64), facts)
        shares[name] = float(read.sum() / max(size.sum(), 1.0))
        if name in WRITE_UNITS:
            units[name] = READ_UNITS * read + WRITE_UNITS[name] * (size - read)
    better = np.minimum.reduce(list(units.values()))
    short, long = units["5 min"], units["1 h"]
    wins = {"5 min": int((short < long).sum()), "1 h": int((long <= short).sum())}
    rows = tuple(
        LifetimeRow(
            lifetime=name,
            read_share=share,
            units=float(units[name].sum()) if name in units else None,
            sessions_best=wins.get(name),
        )
        for name, share in shares.items()
    )
    return rows, float(better.sum())
