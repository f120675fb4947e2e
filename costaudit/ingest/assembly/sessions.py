"""Find sessions that start with the history of another: forks, resumed sessions, subagents.

A program that forks a session copies its history, often with new ids and times. A strand is the
calls of one session in one file. Each strand is compared with earlier strands as a sequence of
token counts, without times. Equal counts alone prove little: two sessions may have asked the
same. So a repeated run of calls counts as copied history only if

- its times equal those of the other run, to the microsecond, or
- it was written faster than any model can answer, or
- its session says that it was forked from the other one, or has the same name, or
- it is in a coding agent's session file, and its counts are too specific to be equal by chance
  (see `CHANCE_BITS`).

It never counts as history if answers differ. Unless the times are equal, it also doesn't if it
begins before the other run ended.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log2

import polars as pl

from costaudit.contracts.requests import TOKEN_CLASSES

CLASSES = (*TOKEN_CLASSES, "reasoning_tokens")
AGENTS = frozenset({"claude_code", "claude_stream", "codex", "gemini_cli", "opencode"})
MOST_CANDIDATES = 32  # maximum number of earlier turns with equal counts to compare a run with
CHANCE_BITS = 40.0  # bits in a run's counts that rule out chance; 2 more per doubling of strands
FEW_BITS = 12.0  # per turn; fewer, as with 8 tokens in and 1 out, prove nothing by themselves
FASTEST = 10_000  # output tokens per second; no model is faster
QUICKEST_US = 20_000  # no model answers in less
SECOND_US = 1_000_000


@dataclass(frozen=True)
class Turn:
    """A call of a strand."""

    at: int  # row number
    counts: int  # digest of model and tokens
    ts_us: int | None
    answer: int | None  # digest of its answer
    bits: float  # information in its input and output counts
    output: int  # output tokens


@dataclass(frozen=True)
class Strand:
    """The calls of one session in one file, in file order.

    Calls of a session that are each alone in their file form one strand, ordered by time.
    """

    source: str
    session: str
    forked_from: str | None
    turns: Sequence[Turn]


def find_replays(rows: pl.DataFrame) -> pl.DataFrame:
    """Find calls that only repeat a session's history; merge each into the call it repeats."""
    merged: list[tuple[int, int]] = []
    if "session" in rows.columns:
        for strands in _by_source(rows):
            merged += _Comparison(strands).replays()
    table = pl.DataFrame(merged, schema={"at": pl.Int64, "_into": pl.Int64}, orient="row")
    return table.with_columns(_reason=pl.lit("replayed"))


def _by_source(rows: pl.DataFrame) -> Iterator[list[Strand]]:
    """Yield for each source the strands in which some call's counts occur more than once."""
    able = rows.filter(
        pl.col("session").is_not_null()
        & (pl.col("_worth") > 0)
        & (pl.col("served_by") == "provider")
    )
    if "forked_from" not in able.columns:
        able = able.with_columns(forked_from=pl.lit(None, pl.String))
    is_alone = pl.len().over("source", "session", "source_file") == 1
    able = (
        able.with_columns(
            _counts=pl.struct("_model", *CLASSES).hash(),
            _file=pl.when(is_alone).then(pl.lit("")).otherwise("source_file"),
            _order=pl.when(is_alone).then("ts_us").otherwise("offset"),
        )
        .with_columns(_common=pl.struct("source", "_counts").is_duplicated())
        .filter(pl.col("_common").any().over("source", "session", "_file"))
        .sort("_order", "index", "at", nulls_last=True)
    )
    for (source,), part in able.group_by("source", maintain_order=True):
        strands = [
            Strand(str(source), str(session), _first(part["forked_from"]), _turns(part))
            for (session, _), part in part.group_by("session", "_file", maintain_order=True)
        ]
        yield sorted(strands, key=_start)


def _first(values: pl.Series) -> str | None:
    known = values.drop_nulls()
    return str(known[0]) if len(known) else None


def _start(strand: Strand) -> tuple[int, int]:
    times = [turn.ts_us for turn in strand.turns if turn.ts_us is not None]
    return min(times, default=0), strand.turns[0].at


def _turns(part: pl.DataFrame) -> list[Turn]:
    chosen = part.select(
        "at", "_counts", "ts_us", "answer_hash", "_sent", pl.col("output_tokens").fill_null(0)
    )
    return [
        Turn(at, counts, ts_us, answer, log2(1 + (sent or 0)) + log2(1 + output), output)
        for at, counts, ts_us, answer, sent, output in chosen.iter_rows()
    ]


class _Comparison:
    """Compare each strand of a source with earlier strands, and with its own earlier turns."""

    def __init__(self, strands: list[Strand]) -> None:
        self._strands = strands
        self._needed = CHANCE_BITS + 2 * log2(max(len(strands), 1))
        self._places: dict[int, list[tuple[int, int]]] = {}  # counts → (strand, place in it)

    def replays(self) -> list[tuple[int, int]]:
        """Return pairs of row numbers: a repeated call, and the call that it repeats."""
        found: list[tuple[int, int]] = []
        for number, strand in enumerate(self._strands):
            place = 0
            while place < len(strand.turns):
                origin, length = self._history(number, place)
                repeated = strand.turns[place : place + length]
                found += [
                    (again.at, first.at) for first, again in zip(origin, repeated, strict=False)
                ]
                for each in range(place, place + max(length, 1)):
                    known = self._places.setdefault(strand.turns[each].counts, [])
                    if len(known) < MOST_CANDIDATES:
                        known.append((number, each))
                place += max(length, 1)
        return found

    def _history(self, number: int, place: int) -> tuple[Sequence[Turn], int]:
        """Return the longest earlier run that the turns from `place` on repeat, and its length."""
        strand = self._strands[number]
        best: Sequence[Turn] = ()
        for other, start in self._places.get(strand.turns[place].counts, ()):
            before = self._strands[other]
            end = place if other == number else len(before.turns)
            first = before.turns[start:end]
            length = _common(first, strand.turns[place:])
            while length > len(best):
                if self._is_history(before, strand, first[:length], strand.turns[place:]):
                    best = first[:length]
                    break
                length -= 1
        return best, len(best)

    def _is_history(
        self, before: Strand, strand: Strand, first: Sequence[Turn], rest: Sequence[Turn]
    ) -> bool:
        again = rest[: len(first)]
        bits = sum(turn.bits for turn in first)
        same_answers = all(
            one.answer is not None and one.answer == other.answer
            for one, other in zip(first, again, strict=True)
        )
        told = bits >= FEW_BITS * len(first)
        if all(
            one.ts_us is not None and one.ts_us == other.ts_us
            for one, other in zip(first, again, strict=True)
        ):
            return told or same_answers or len(first) > 1
        ended, begun = first[-1].ts_us, again[0].ts_us
        if ended is not None and begun is not None and begun < ended:
            return False
        if _is_too_fast(again):
            return True
        if before.session == strand.forked_from:
            return told or same_answers
        if before.session == strand.session and before is not strand:
            return told and (same_answers or len(first) > 1)
        return strand.source in AGENTS and len(first) > 1 and bits >= self._needed


def _common(first: Sequence[Turn], again: Sequence[Turn]) -> int:
    """Return how many turns from the start have equal counts and no different answers."""
    length = 0
    for one, other in zip(first, again, strict=False):
        answers = {one.answer, other.answer} - {None}
        if one.counts != other.counts or len(answers) > 1:
            break
        length += 1
    return length


def _is_too_fast(turns: Sequence[Turn]) -> bool:
    """Return whether consecutive calls came faster than any model can answer."""
    times = [turn.ts_us for turn in turns]
    if len(turns) < 2 or any(ts is None for ts in times):
        return False
    known = [ts for ts in times if ts is not None]
    slack = SECOND_US if all(ts % SECOND_US == 0 for ts in known) else 0
    needed = sum(max(QUICKEST_US, turn.output * SECOND_US // FASTEST) for turn in turns[1:])
    return all(one <= other for one, other in pairwise(known)) and (
        known[-1] - known[0] + slack < needed
    )
