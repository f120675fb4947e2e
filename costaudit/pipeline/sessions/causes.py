"""Split the cost of sessions by cause; the causes of a session add up to its spend exactly."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.contracts.grades import MTOK
from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.contracts.sessions import CAUSES, MISSES, CauseRow, IdleRow
from costaudit.costing.cost import plain
from costaudit.costing.tariff import Tariff
from costaudit.simulate.prefix.sessions.causes import Calls
from costaudit.simulate.prefix.sessions.facts import SessionFacts
from costaudit.simulate.segments import Ints

_CODE = {name: number for number, name in enumerate(CAUSES)}
_OUTPUT = len(INPUT_CLASSES)  # index of the output in TOKEN_CLASSES
_READ = INPUT_CLASSES.index("cache_read_tokens")
_PAUSES = ((300.0, "up to 5 min"), (900.0, "5 to 15 min"), (3_600.0, "15 to 60 min"),
           (14_400.0, "1 to 4 h"), (float("inf"), "over 4 h"))  # fmt: skip
_NOTHING = Decimal(0)
_ROUNDING, _CELL = Decimal("1e-9"), Decimal("1e-15")


@dataclass
class _Sum:
    """The sums of one cause in one group."""

    tokens: int = 0
    usd: Decimal = _NOTHING
    as_read_usd: Decimal = _NOTHING


class SessionMoney:
    """The billed tokens of all sessions by cause, for pricing by any grouping."""

    def __init__(
        self, tariff: Tariff, facts: SessionFacts, calls: Calls, billed: Ints, *, beside: bool
    ) -> None:
        """Take calls and their billed tokens; `beside` adds units and logged costs."""
        self._tariff, self._facts, self._calls, self._more = tariff, facts, calls, beside
        self._rates = tariff.billed.rates_by_id
        output = tariff.classes["output_tokens"].to_numpy()
        rows = np.flatnonzero(output > 0)
        split = calls.split(billed)
        spoken = pl.DataFrame(
            {
                "row": rows,
                "cause": np.full(len(rows), _CODE["output"], np.int8),
                "class": np.full(len(rows), _OUTPUT, np.int8),
                "tokens": output[rows],
            },
            schema=split.schema,
        )
        frame = pl.concat([split, spoken])
        self._frame = frame.with_columns(
            session=pl.Series(facts.threads.session).gather(frame["row"]),
            rate_id=tariff.billed.rate_ids.gather(frame["row"]),
        ).filter(pl.col("session") >= 0)

    def total(self) -> tuple[CauseRow, ...]:
        """Return the causes of all sessions."""
        everyone = pl.Series(np.where(self._facts.threads.session >= 0, 0, -1))
        return self.by(everyone, {0}).get(0, ())

    def by(self, group: pl.Series, chosen: set[int]) -> dict[int, tuple[CauseRow, ...]]:
        """Return the causes of chosen groups, the most expensive first; `group` is by request."""
        keys = ["group", "cause", "class", "rate_id"]
        picked = self._frame.with_columns(group=group.gather(self._frame["row"])).filter(
            pl.col("group").is_in(sorted(chosen))
        )
        sums: dict[int, dict[str, _Sum]] = {number: {} for number in chosen}
        for number, cause, place, rate_id, tokens in (
            picked.group_by(keys)
            .agg(pl.col("tokens").sum())
            .sort(keys, nulls_last=True)
            .iter_rows()
        ):
            one = sums[number].setdefault(CAUSES[cause], _Sum())
            one.tokens += tokens
            if rate_id is not None:
                rates = self._rates[rate_id]
                one.usd += tokens * rates[place] / MTOK
                one.as_read_usd += tokens * rates[_READ] / MTOK
        beside = self._beside(group, chosen) if self._more else {}
        for number, (units, logged) in beside.items():
            if units:
                sums[number]["units"] = _Sum(usd=units)
            if logged is not None:
                _meet(sums[number], logged + self._listed(group, number))
        calls = self._counts(picked)
        return {
            number: _rows(found, {name: calls.get((number, name), 0) for name in found})
            for number, found in sums.items()
        }

    def _beside(
        self, group: pl.Series, chosen: set[int]
    ) -> dict[int, tuple[Decimal, Decimal | None]]:
        """Return the sums by group of units, and of logged costs with the units beside them.

        The second is None if no cost is logged.
        """
        frame = pl.DataFrame(
            {
                "group": group,
                "units": self._tariff.unit_usd,
                "logged": self._tariff.basis.logged,
                "bill": self._tariff.basis.logged.fill_null(self._tariff.unit_usd),
                "session": self._facts.threads.session,
            }
        ).filter(pl.col("session") >= 0, pl.col("group").is_in(sorted(chosen)))
        sums = frame.group_by("group").agg(
            pl.col("units").sum(),
            pl.when(pl.col("logged").is_not_null().any()).then(pl.col("bill").sum()),
        )
        return {
            number: (Decimal(units or 0), None if logged is None else Decimal(logged))
            for number, units, logged in sums.sort("group").iter_rows()
        }

    def _listed(self, group: pl.Series, number: int) -> Decimal:
        """Return the price of a group's tokens, for calls priced by tokens alone."""
        logged = self._tariff.basis.logged.is_not_null()
        places = self._frame["row"]
        rows = self._frame.filter((group == number).gather(places) & ~logged.gather(places))
        sums = rows.drop_nulls("rate_id").group_by("class", "rate_id").agg(pl.col("tokens").sum())
        return sum(
            (
                tokens * self._rates[rate_id][place] / MTOK
                for place, rate_id, tokens in sums.sort("class", "rate_id").iter_rows()
            ),
            _NOTHING,
        )

    def _counts(self, picked: pl.DataFrame) -> dict[tuple[int, str], int]:
        found = picked.group_by("group", "cause").agg(pl.col("row").n_unique())
        return {(number, CAUSES[cause]): calls for number, cause, calls in found.iter_rows()}

    def idle(self) -> tuple[IdleRow, ...]:
        """Return the cost of tokens that were paid again after pauses, by the pause's length."""
        gap = self._calls.gap_s
        bounds = np.array([limit for limit, _ in _PAUSES])
        place = np.searchsorted(bounds, np.nan_to_num(gap), "left")
        paused = self._frame.filter(pl.col("cause") == _CODE["idle"])
        if paused.is_empty():
            return ()
        keys = ["pause", "class", "rate_id"]
        paused = paused.with_columns(pause=pl.Series(place).gather(paused["row"]))
        calls = dict(paused.group_by("pause").agg(pl.col("row").n_unique()).iter_rows())
        sums: dict[int, _Sum] = {}
        for number, of_class, rate_id, tokens in (
            paused.group_by(keys)
            .agg(pl.col("tokens").sum())
            .sort(keys, nulls_last=True)
            .iter_rows()
        ):
            one = sums.setdefault(number, _Sum())
            one.tokens += tokens
            if rate_id is not None:
                one.usd += tokens * self._rates[rate_id][of_class] / MTOK
                one.as_read_usd += tokens * self._rates[rate_id][_READ] / MTOK
        return tuple(
            IdleRow(_PAUSES[n][1], calls[n], one.tokens, plain(one.usd), plain(one.as_read_usd))
            for n, one in sorted(sums.items())
        )


def _meet(sums: dict[str, _Sum], total: Decimal) -> None:
    """Adjust causes to a total with logged costs, which rates reproduce except for rounding."""
    for one in sums.values():
        one.usd = one.usd.quantize(_CELL)
    beyond = total - sum((one.usd for one in sums.values()), _NOTHING)
    if sums and abs(beyond) < _ROUNDING:
        max(sums.values(), key=lambda one: one.usd).usd += beyond
    elif beyond:
        sums["logged"] = _Sum(usd=beyond)


def _rows(sums: dict[str, _Sum], calls: dict[str, int]) -> tuple[CauseRow, ...]:
    rows = [
        CauseRow(
            cause=name,
            calls=calls[name],
            tokens=one.tokens,
            usd=plain(one.usd),
            extra_usd=plain(one.usd - one.as_read_usd) if name in MISSES else _NOTHING,
        )
        for name, one in sums.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.usd, CAUSES.index(row.cause))))


def usd_of(rows: Sequence[CauseRow]) -> Decimal:
    """Return the sum of causes."""
    return plain(sum((row.usd for row in rows), _NOTHING))


def by_session(values: NDArray[np.float64], facts: SessionFacts) -> NDArray[np.float64]:
    """Return the sums of a value of calls by session."""
    chosen = facts.threads.session >= 0
    session, count = facts.threads.session[chosen], len(facts.threads.names)
    return np.asarray(np.bincount(session, weights=values[chosen], minlength=count), np.float64)
