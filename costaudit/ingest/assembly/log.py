"""All rows of a log by their keys: in order, the linked ones settled, the others for workers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import polars as pl

from costaudit.engine.engine import Engine
from costaudit.ingest.assembly.identity import SAME, find_duplicates, join_halves, number_attempts
from costaudit.ingest.assembly.keys import (
    BY_PROMPT,
    FAILED,
    HALF,
    NO_ATTEMPT,
    Keys,
    KeyTask,
    PieceKeys,
    find_keys,
)
from costaudit.ingest.assembly.linked import is_among, linked_rows, times_of
from costaudit.ingest.assembly.linked_calls import settle
from costaudit.ingest.assembly.normalise import group_shapes, normalise, tally
from costaudit.ingest.assembly.parts import Numbered, RowsTask, lowest_attempt, month_groups
from costaudit.ingest.assembly.request_rows import IN_PIECES, PLACED
from costaudit.ingest.options import IngestOptions
from costaudit.ingest.staging.pieces import LIGHT, Ints, Piece, Pieces

AT_ONCE = 8  # full row groups that a worker writes
MOST_PIECES = 16  # from which a worker gathers the rows of further groups


@dataclass(frozen=True)
class Chosen:
    """Columns of some rows of a piece that a worker is to read."""

    number: int
    piece: Piece
    rows: Ints
    columns: tuple[str, ...]


def read_rows(chosen: Chosen) -> pl.DataFrame:
    """Read rows of a piece, with `piece` and `row`."""
    found = chosen.piece.rows(chosen.columns, chosen.rows)
    rows = pl.Series("row", chosen.rows, dtype=pl.Int32)
    return found.with_columns(rows, piece=pl.lit(chosen.number, pl.Int32))


class Log:
    """All rows of the pieces, by their keys; which of them are linked, and what they are."""

    def __init__(self, pieces: Pieces, engine: Engine, options: IngestOptions) -> None:
        self._group_rows = options.group_rows
        self._pieces, self._engine = pieces, engine
        tasks = [
            KeyTask(piece, pieces.work / f"keys-{number:06d}")
            for number, piece in enumerate(pieces.all)
        ]
        found = list(engine.map(find_keys, tasks))
        self.keys = Keys(found)
        self.order = self.keys.order()  # rows by time
        self._at = np.empty(len(self.order), np.int64)  # the place of each row in that order
        self._at[self.order] = np.arange(len(self.order))
        self.shapes = self._shapes(found)
        self.is_linked = linked_rows(self.keys, lambda: self._links)
        self.group = self.keys.column("group")
        self.linked = settle(self._duplicates(options.dedupe), self._others)

    @cached_property
    def _links(self) -> pl.DataFrame:
        return self._pieces.links()

    def _rows(self, places: Ints, columns: Sequence[str]) -> pl.DataFrame:
        """Return columns of some rows in order, with `at`, `piece`, `row` and `source_file`."""
        starts, pieces = self.keys.starts, self._pieces.all
        numbers = self.keys.piece_of(places)
        tasks = [
            Chosen(number, pieces[number], places[numbers == number] - starts[number], (*columns,))
            for number in np.unique(numbers).tolist()
        ]
        none = Chosen(0, pieces[0], np.zeros(0, np.int64), (*columns,))
        rows = pl.concat(self._engine.map(read_rows, tasks) if tasks else [read_rows(none)])
        return rows.with_columns(pl.Series("at", self._at[places], dtype=pl.Int64)).sort("at")

    def _shapes(self, found: Sequence[PieceKeys]) -> pl.DataFrame:
        """Return how groups of calls count; requests and results of batches are joined for that."""
        tallies = [one.tallies for one in found]
        halves = np.flatnonzero(self.keys.column("flags") & HALF)
        if len(halves):
            rows = join_halves(self._rows(halves, LIGHT))
            tallies.append(tally(rows))
            changed = rows.select(**BY_PROMPT)
            for name in BY_PROMPT:
                self.keys.change(name, self.order[rows["at"].to_numpy()], changed[name].to_numpy())
        return group_shapes(pl.concat(tallies))

    def _duplicates(self, dedupe: bool) -> pl.DataFrame:
        rows = join_halves(self._rows(np.flatnonzero(self.is_linked), LIGHT))
        links = self._links if rows["within"].is_not_null().any() else self._links.clear()
        times = times_of(self.keys, self.is_linked)
        return find_duplicates(normalise(rows, self.shapes), links, dedupe, times)

    @cached_property
    def _others(self) -> pl.DataFrame:
        numbers = np.unique(self.group[~self.is_linked]).tolist()
        types = {"source_file": pl.String, "source": pl.String}
        return pl.DataFrame([self.keys.groups[n] for n in numbers], schema=types, orient="row")

    def counted(self) -> pl.DataFrame:
        """Return how many rows of each file are not linked."""
        counts = np.bincount(self.group[~self.is_linked], minlength=len(self.keys.groups))
        files = pl.Series("source_file", [file for file, _ in self.keys.groups], pl.String)
        return pl.DataFrame([files, pl.Series("len", counts, pl.UInt32)]).filter(pl.col("len") > 0)

    def numbered(self) -> tuple[Numbered, pl.DataFrame]:
        """Return what numbers the attempts of other rows, and the linked rows with theirs.

        Rows with the prompt and caller of a failed call are numbered here.
        """
        keys, kept = self.keys, self.linked.kept
        caller, failed = keys.column("caller"), (keys.column("flags") & FAILED) > 0
        own = kept.filter(pl.col("status") == "error").select(BY_PROMPT["caller"].alias("caller"))
        found = np.concatenate([caller[failed & ~self.is_linked], own["caller"].to_numpy()])
        places = np.flatnonzero(is_among(caller, found) & ~self.is_linked)
        columns = ("at", "source_file", "ts_us", "status", "attempt", *SAME)
        rows = pl.concat(
            [kept.select(columns), self._rows(places, columns[2:]).select(columns)]
        ).sort("at")
        lowest = self._lowest(kept)
        expression = lowest_attempt(lowest) if lowest else pl.lit(None, pl.Int32)
        attempts = rows.select("at", numbered=number_attempts(rows, expression))
        kept = kept.drop("attempt").join(attempts, on="at", how="left", maintain_order="left")
        kept = kept.rename({"numbered": "attempt"})
        return Numbered(self.shapes, attempts, lowest), kept

    def _lowest(self, kept: pl.DataFrame) -> dict[str, int]:
        """Return the lowest logged attempt of each file."""
        lowest: dict[str, int] = {}
        if not self.keys.has("attempt"):
            return lowest
        least = np.full(len(self.keys.groups), NO_ATTEMPT, np.int64)
        own = ~self.is_linked
        np.minimum.at(least, self.group[own], self.keys.column("attempt")[own])
        told = [
            (file, int(value)) for (file, _), value in zip(self.keys.groups, least, strict=True)
        ]
        told += kept.select("source_file", "attempt").drop_nulls().iter_rows()
        for file, value in told:
            lowest[file] = min(value, lowest.get(file, NO_ATTEMPT))
        return {file: value for file, value in lowest.items() if value < NO_ATTEMPT}

    def merged(self) -> pl.DataFrame:
        """Return the rows that repeat another one, with the columns that price them."""
        merged = self.linked.merged.filter(pl.col("merge_reason") != "joined")
        priced = self._rows(np.sort(self.order[merged["at"].to_numpy()]), IN_PIECES)
        return merged.drop(*IN_PIECES, strict=False).join(
            priced.select("at", *IN_PIECES), on="at", how="left", maintain_order="left"
        )

    def targets(self, skips: pl.DataFrame) -> pl.DataFrame:
        """Return the rows into which records of their file were merged, each by its place there.

        `final` is the `at` of the row that is kept.
        """
        keys = self.keys
        places = ["source_file", "into_offset", "into_index"]
        into = skips.select(places).drop_nulls("into_offset").unique()
        offsets = keys.column("offset") if len(into) else np.zeros(0, np.int64)
        rows = np.flatnonzero(is_among(offsets + 1, into["into_offset"].to_numpy() + 1))
        files = pl.Series([file for file, _ in keys.groups], dtype=pl.String)
        found = pl.DataFrame(
            {
                "source_file": files.gather(self.group[rows]),
                "into_offset": offsets[rows],
                "into_index": (keys.column("index") if len(rows) else rows)[rows],
                "at": self._at[rows],
            },
            schema_overrides={"into_index": pl.Int32},
        ).join(into, on=places, how="semi")
        merged = self.linked.merged.select("at", "merged_into")
        return found.join(merged, on="at", how="left").select(
            *places, final=pl.coalesce("merged_into", "at")
        )

    def rows_tasks(self, kept: pl.DataFrame, numbered: Numbered, asked: Ints) -> Iterator[RowsTask]:
        """Yield the tasks that write REQUESTS; workers return the ids of the rows `asked`."""
        is_kept = ~self.is_linked
        is_kept[self.order[kept["at"].to_numpy()]] = True
        order = np.flatnonzero(is_kept[self.order])  # `at` of the rows to write
        bounds = month_groups(self.keys.column("ts")[self.order[order]], self._group_rows)
        asked, done = np.sort(asked), 0
        for groups in self._cuts(order, bounds):
            at = order[groups[0] : groups[-1]]
            places = self.order[at]
            numbers = self.keys.piece_of(places)
            within = places - self.keys.starts[numbers]
            rows = pl.DataFrame({"at": at, "piece": numbers, "row": within})
            single = ~self.is_linked[places]
            linked = kept.slice(done, int((~single).sum()))
            done += len(linked)
            needed = np.unique(np.concatenate([numbers, linked["prompt_piece"].to_numpy()]))
            yield RowsTask(
                path=self._pieces.work / f"requests-{groups[0]:012d}",
                pieces={number: self._pieces.all[number] for number in needed.tolist()},
                single=rows.cast({"piece": pl.Int32, "row": pl.Int32}).filter(single),
                linked=linked.select("at", *PLACED),
                numbered=self._own(numbered, places, at),
                groups=groups - groups[0],
                asked=asked[(asked >= at[0]) & (asked <= at[-1])],
            )

    def _cuts(self, order: Ints, bounds: Ints) -> Iterator[Ints]:
        """Yield the bounds of the row groups that a worker writes: of not many pieces.

        A stretch goes on while its row groups are from the same pieces, as where many files cover
        the same days.
        """
        first, pieces, most = 0, set[int](), MOST_PIECES
        for number, (start, end) in enumerate(pairwise(bounds.tolist())):
            places = self.order[order[start:end]]
            own = set(np.unique(self.keys.piece_of(places)).tolist())
            is_full = end - bounds[first] > AT_ONCE * self._group_rows
            if pieces and (is_full or len(pieces | own) > most):
                yield bounds[first : number + 1]
                first, pieces = number, set()
            if not pieces:
                most = max(MOST_PIECES, 2 * len(own))
            pieces |= own
        if len(order):
            yield bounds[first:]

    def _own(self, numbered: Numbered, places: Ints, at: Ints) -> Numbered:
        """Return what some rows need of the numbers of all."""
        files = {self.keys.groups[one][0] for one in np.unique(self.group[places]).tolist()}
        is_own = pl.col("source_file").is_in(list(files))
        return Numbered(
            shapes=numbered.shapes.filter(is_own),
            attempts=numbered.attempts.filter(pl.col("at").is_between(int(at[0]), int(at[-1]))),
            lowest={file: least for file, least in numbered.lowest.items() if file in files},
        )
