"""Find the keys of each row: numbers that are equal if two rows may be the same call.

A worker finds them for a piece and stores them. They are narrow, so one process can compare those
of all pieces, a column at a time. Most rows share no key with another row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from costaudit.ingest.assembly.identity import MODEL, OWN_CLOCKS, SAME
from costaudit.ingest.assembly.normalise import tally
from costaudit.ingest.staging.pieces import LIGHT, Ints, Piece

HALF, SESSION, FAILED, COUNTED, UNCOUNTED = 1, 2, 4, 8, 16  # bits of `flags`
NO_TIME = 2**63 - 1  # sorts last
NO_ATTEMPT = 2**31 - 1
GROUP = ("source_file", "source")


def _digest(values: pl.Expr, where: pl.Expr) -> pl.Expr:
    """Return a number that depends on the values; 0 where nothing is to be compared."""
    return pl.when(where).then(values.hash()).otherwise(pl.lit(0, pl.UInt64))


_NAMED = pl.col("native_id").is_not_null()
_ASKED = pl.col("prompt_hash").is_not_null()
BY_PROMPT = {  # these change where a result is joined to the request that has its prompt
    "prompt": pl.col("prompt_hash").fill_null(0),
    "start": _digest(
        pl.struct("source", "ts_us", "prompt_hash", MODEL),
        _ASKED & pl.col("ts_us").is_not_null() & ~pl.col("source").is_in(OWN_CLOCKS),
    ),
    "caller": _digest(pl.struct(SAME), _ASKED),
}
_ANSWERED = ((pl.col("status") == "ok") & (pl.col("served_by") == "provider")).fill_null(False)
_MAY_LACK_USAGE = (  # where no number says that something was counted
    pl.col("logged_cost").is_null()
    & pl.col("billed_units").is_null()
    & (pl.col("input").fill_null(0) <= 0)
    & (pl.col("output").fill_null(0) <= 0)
    & (pl.col("prompt_tokens").fill_null(0) <= 0)
)
_FLAGS = {
    HALF: pl.col("half").is_not_null(),
    SESSION: pl.col("session").is_not_null(),
    FAILED: (pl.col("status") == "error").fill_null(False),
    COUNTED: _ANSWERED & ~_MAY_LACK_USAGE,
    UNCOUNTED: _ANSWERED & _MAY_LACK_USAGE,
}
KEYS = {
    "ts": pl.col("ts_us").fill_null(NO_TIME),
    "offset": pl.col("offset"),
    "index": pl.col("index"),
    "group": pl.col("group").cast(pl.UInt32),  # index into `PieceKeys.groups`
    "id": _digest(pl.col("native_id"), _NAMED),
    "name": _digest(pl.coalesce("same_as", "native_id"), pl.col("same_as").is_not_null() | _NAMED),
    **BY_PROMPT,
    "span": pl.col("span").fill_null(0),
    "within": pl.col("within").fill_null(0),
    "attempt": pl.col("attempt").fill_null(NO_ATTEMPT),
    "flags": pl.sum_horizontal(there.cast(pl.UInt8) * bit for bit, there in _FLAGS.items()).cast(
        pl.UInt8
    ),
}
CONSTANT = {"group": 0, "span": 0, "within": 0, "attempt": NO_ATTEMPT, "flags": 0}
_USED = tuple(name for name in LIGHT if name not in {"answer_tokens", "answer_hash", "latency_ms"})


@dataclass(frozen=True)
class KeyTask:
    """A piece whose keys are to be found, and where to store them."""

    piece: Piece
    stem: Path


@dataclass(frozen=True)
class PieceKeys:
    """What a worker found in a piece, beside the stored keys."""

    stem: Path
    rows: int
    blocks: int
    groups: list[tuple[str, str]]  # file and source
    columns: frozenset[str]  # stored; each other one is constant
    tallies: pl.DataFrame  # see `normalise.tally`; without the halves of calls


def find_keys(task: KeyTask) -> PieceKeys:
    """Store the keys of a piece's rows and blocks."""
    rows = task.piece.rows(_USED)
    groups = rows.select(GROUP).unique(maintain_order=True)
    if len(groups) > 1:
        numbered = groups.with_row_index("group")
        rows = rows.join(numbered, on=GROUP, how="left", nulls_equal=True, maintain_order="left")
    else:
        rows = rows.with_columns(group=pl.lit(0))
    keys = rows.select(**KEYS)
    same = [name for name, value in CONSTANT.items() if (keys[name] == value).all()]
    if rows["same_as"].null_count() == len(rows):
        same.append("name")
    keys = keys.drop(same)
    task.stem.parent.mkdir(parents=True, exist_ok=True)
    keys.write_ipc(task.stem.with_suffix(".keys"))
    ids = pl.read_parquet(task.piece.table("blocks"), columns=["block_id"])["block_id"]
    digests = np.frombuffer(bytes.fromhex("".join(ids)), ">u8").astype(np.uint64).reshape(-1, 2)
    halves = pl.DataFrame({"high": digests[:, 0], "low": digests[:, 1]})
    halves.write_ipc(task.stem.with_suffix(".blocks"))
    return PieceKeys(
        stem=task.stem,
        rows=len(rows),
        blocks=len(ids),
        groups=groups.rows(),
        columns=frozenset(keys.columns),
        tallies=tally(rows.filter(pl.col("half").is_null())),
    )


class Keys:
    """The keys of all rows, piece after piece; a column is read when it is needed."""

    def __init__(self, found: Sequence[PieceKeys]) -> None:
        self._found = found
        self._changes: dict[str, tuple[Ints, Ints]] = {}
        self.starts = np.cumsum([0, *(one.rows for one in found)])
        self.block_starts = np.cumsum([0, *(one.blocks for one in found)])
        self.groups = list(dict.fromkeys(group for one in found for group in one.groups))

    def __len__(self) -> int:
        return int(self.starts[-1])

    def has(self, name: str) -> bool:
        """Return whether any row has a value of its own in a column."""
        return any(name in one.columns for one in self._found)

    def change(self, name: str, places: Ints, values: Ints) -> None:
        """Set the keys of some rows."""
        self._changes[name] = (places, values)

    def column(self, name: str) -> Ints:
        """Return a column of KEYS; `group` is an index into `groups`."""
        numbers = {group: number for number, group in enumerate(self.groups)}
        parts: list[Ints] = []
        for one in self._found:
            if name in one.columns:
                part = self._stored(one, name)
            elif name == "name":
                part = self._stored(one, "id")
            else:
                part = np.full(one.rows, CONSTANT[name])
            if name == "group":
                part = np.array([numbers[group] for group in one.groups], np.int64)[part]
            parts.append(part)
        values = np.concatenate(parts)
        if name in self._changes:
            places, changed = self._changes[name]
            values[places] = changed
        return values

    def _stored(self, one: PieceKeys, name: str) -> Ints:
        table = pl.read_ipc(one.stem.with_suffix(".keys"), columns=[name])
        return table[name].to_numpy()

    def block_ids(self) -> tuple[Ints, Ints]:
        """Return the two halves of the id of each block, piece after piece."""
        both = pl.concat(pl.read_ipc(one.stem.with_suffix(".blocks")) for one in self._found)
        return both["high"].to_numpy(), both["low"].to_numpy()

    def piece_of(self, places: Ints) -> Ints:
        """Return the number of the piece of each row."""
        return np.searchsorted(self.starts, places, side="right") - 1

    def files(self) -> dict[str, list[int]]:
        """Return the numbers of the groups of each file, by name."""
        found: dict[str, list[int]] = {}
        for number, (file, _) in sorted(enumerate(self.groups), key=lambda one: one[1]):
            found.setdefault(file, []).append(number)
        return found

    def file_ranks(self) -> Ints:
        """Return for each group the rank of its file by name."""
        ranks = np.zeros(len(self.groups), np.int64)
        for rank, numbers in enumerate(self.files().values()):
            ranks[numbers] = rank
        return ranks

    def order(self) -> Ints:
        """Return the rows by time, file and place in the file."""
        names = ("ts", "file", "offset", "index")
        columns = [self.column(name) for name in ("ts", "group", "offset", "index")]
        columns[1] = self.file_ranks()[columns[1]]
        rises, equal = np.zeros(len(columns[0][1:]), bool), np.ones(len(columns[0][1:]), bool)
        for values in columns:
            rises |= equal & (values[1:] > values[:-1])
            equal &= values[1:] == values[:-1]
        if (rises | equal).all():
            return np.arange(len(self))
        frame = pl.DataFrame(dict(zip(names, columns, strict=True)))
        by_time = pl.arg_sort_by(*names, maintain_order=True)
        return frame.select(by_time).to_series().cast(pl.Int64).to_numpy()
