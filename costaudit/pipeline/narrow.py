"""Read the tables of a run in less memory: rows of BLOCKS instead of its keys, names once.

REQUESTS and BLOCKS keep their columns. `block_id` and `answer_id` become the number of a row in
BLOCKS (UInt32); keys that BLOCKS lacks are numbered behind its rows. The role, kind and marker of a
segment become enumerations. A prompt then takes an eighth of the memory.
"""

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from costaudit.contracts.requests import REQUESTS
from costaudit.contracts.run_dir import RunDir, column
from costaudit.simulate.segments import (
    MARKERS,
    ROLES,
    Ints,
    Layout,
    Rows,
    Segments,
    any_in,
    sizes_of,
)

_KINDS = (
    "", "text", "image", "audio", "video", "document", "file", "hash", "thinking",
    "tool_definition", "tool_use", "tool_result",
)  # fmt: skip
_OTHER = "other"  # a role or marker without a name of its own
_NAMES_BLOCKS = ["segments", "answer_id"]  # columns that are read in slices
HAS_PROMPT, HAS_ANSWER = "has_prompt_text", "has_answer_text"  # columns beside those of REQUESTS
Flags = NDArray[np.bool_]


_AT_ONCE = 100_000  # requests whose prompts are in memory as they are in the file


def read_tables(run: RunDir, at_once: int = _AT_ONCE) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read REQUESTS, with HAS_PROMPT and HAS_ANSWER, and BLOCKS, both with numbers as keys.

    Raises RunDirError if a table is missing or can't be read.
    """
    blocks = run.blocks()
    requests = run.requests(without=_NAMES_BLOCKS)
    sizes = [sizes_of(part["segments"]) for part in run.request_slices(["segments"], at_once)]
    layout = Layout(np.concatenate([np.empty(0, np.int64), *sizes]), blocks["block_id"])
    answers = _Answers(layout.known)
    unlogged = []
    at = 0
    for part in run.request_slices(_NAMES_BLOCKS, at_once):
        layout.add(at, part["segments"])
        answers.add(part["answer_id"])
        unlogged.append(part["segments"].is_null().to_numpy())
        at += len(part)
    segments, names = layout.segments(), layout.names()
    has_text = np.append(blocks["text"].is_not_null().to_numpy(), False)
    requests = requests.with_columns(
        _nested(segments, names, np.concatenate([np.empty(0, np.bool_), *unlogged])),
        answers.numbers(behind=int(names.max(initial=-1)) + 1),
        pl.Series(HAS_PROMPT, any_in(has_text[segments.block], segments.offsets)),
        pl.Series(HAS_ANSWER, answers.flags(has_text)),
    )
    blocks = blocks.with_columns(
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("block_id"),
        pl.col("kind").cast(pl.Enum(_kinds(blocks["kind"].drop_nulls().unique().to_list()))),
    )
    return requests.select(*REQUESTS.names(), HAS_PROMPT, HAS_ANSWER), blocks


def with_keys(
    keys: pl.Series, requests: pl.DataFrame, blocks: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return REQUESTS and BLOCKS, which are as of `read_tables`, with their own keys and types."""

    def key(name: str) -> pl.Expr:
        return pl.lit(keys).gather(pl.col(name), null_on_oob=True).alias(name)

    lists = column(requests, "segments")
    sizes = sizes_of(lists)
    inner = lists.filter(pl.Series(sizes > 0)).explode(empty_as_null=False).struct.unnest()
    inner = inner.with_columns(
        pl.col("role", "kind", "cache_marker").cast(pl.String), key("block_id")
    )
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    nested = _listed(offsets, inner, lists.is_null().to_numpy())
    requests = requests.with_columns(nested, key("answer_id"))
    return requests, blocks.with_columns(key("block_id"), pl.col("kind").cast(pl.String))


def _nested(segments: Segments, names: NDArray[np.int32], unlogged: Flags) -> pl.Series:
    """Return the column `segments`; prompts that were not logged are null."""
    kinds = _kinds(segments.kinds)
    place = np.array([*(kinds.index(name) for name in segments.kinds), 0])
    inner = pl.DataFrame(
        {
            "role": _named(segments.role, (*ROLES, _OTHER)),
            "kind": _named(place[segments.kind], kinds),
            "block_id": pl.Series(names).cast(pl.UInt32),
            "tokens": pl.Series(segments.tokens),
            "cache_marker": _named(segments.marker, (*MARKERS, _OTHER)),
        }
    ).with_columns(
        pl.col("kind", "cache_marker").replace("", None),
        pl.when(pl.col("tokens") >= 0).then("tokens"),
    )
    return _listed(segments.offsets, inner, unlogged)


def _listed(offsets: Ints, inner: pl.DataFrame, unlogged: Flags) -> pl.Series:
    items = inner.to_struct().to_arrow()
    known, places = (pl.Series(one).to_arrow().buffers()[1] for one in (~unlogged, offsets))
    lists = pa.Array.from_buffers(
        pa.large_list(items.type), len(unlogged), [known, places], children=[items]
    )
    return pl.Series(_Exported(lists)).alias("segments")


class _Exported:
    """An Arrow array behind its C interface: pyarrow's own types cost more imports.

    pa.array imports pandas, if installed; a mask of from_arrays, and pl.from_arrow, import
    pyarrow.compute.
    """

    def __init__(self, array: pa.Array) -> None:
        self._array = array

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        exported: tuple[object, object] = self._array.__arrow_c_array__(requested_schema)
        return exported


def _named(codes: NDArray[np.integer], names: tuple[str, ...]) -> pl.Series:
    """Return an enumeration by the places of its values; -1 means the last one."""
    places = np.where(codes < 0, len(names) - 1, codes).astype(np.uint32)
    return pl.Series(names, dtype=pl.Enum(names)).gather(places)


def _kinds(found: "list[str] | tuple[str, ...]") -> tuple[str, ...]:
    return (*_KINDS, *sorted(set(found) - set(_KINDS)))


class _Answers:
    """Numbers the answers' keys, slice by slice."""

    def __init__(self, known: Rows) -> None:
        self._known = known
        self._rows: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
        self._unknown: dict[str, int] = {}

    def add(self, keys: pl.Series) -> None:
        """Number the keys of some requests; -1 is none, keys that BLOCKS lacks count down."""
        rows = self._known.of(keys.fill_null("")).astype(np.int64)
        lacking = np.flatnonzero((rows < 0) & keys.is_not_null().to_numpy())
        for place in lacking.tolist():
            rows[place] = -2 - self._unknown.setdefault(keys[place], len(self._unknown))
        self._rows.append(rows)

    def numbers(self, behind: int) -> pl.Series:
        """Return the column `answer_id`; keys that BLOCKS lacks are numbered from `behind` on."""
        behind = max(behind, self._known.count)
        rows = np.concatenate(self._rows)
        placed = np.where(rows < -1, behind - 2 - rows, rows)
        return pl.Series("answer_id", placed).set(pl.Series(rows == -1), None).cast(pl.UInt32)

    def flags(self, has_text: Flags) -> Flags:
        """Return which requests have an answer with a flag; the last flag is of no block."""
        return has_text[np.maximum(np.concatenate(self._rows), -1)]
