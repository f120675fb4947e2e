"""Which requests a cache may answer, which text it compares, and what must be equal."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from costaudit.contracts.policies import CacheKey
from costaudit.contracts.requests import GATEWAY_SERVED
from costaudit.simulate.segments import ROLES, Rows, codes_of, sizes_of

ELIGIBLE = 0
REASONS = (
    "",  # eligible
    "not_chat",  # embeddings and other calls
    "gateway_cache",  # a gateway's cache already served it
    "status_error",
    "images",  # or other media in the prompt: a text key can't distinguish them
    "no_prompt",  # no user text was logged, or it is empty
    "truncated",  # the exporter cut the prompt or the answer, so equal texts may differ
    "temperature",  # above the policy's limit
    "tool_use",  # the answer called a tool
    "finish_reason",  # the answer was cut or filtered
    "refusal",
    "no_answer",  # the model answered nothing
    "no_time",  # no time in a log that has times elsewhere
)  # a request counts under the first reason that applies


def bypass_codes(
    requests: pl.DataFrame,
    has_text: pl.Series,
    has_image: pl.Series,
    max_temperature: float,
    no_bypass: tuple[str, ...] = (),
) -> np.ndarray:
    """Return each request's place in REASONS, as int8 (n,); `no_bypass` lists reasons to ignore."""
    answer, finish = pl.col("answer_kind"), pl.col("finish_reason")
    holds = {
        "not_chat": pl.col("kind") != "chat",
        "gateway_cache": GATEWAY_SERVED,
        "status_error": pl.col("status") != "ok",
        "images": pl.lit(has_image),
        "no_prompt": ~pl.lit(has_text),
        "truncated": pl.col("truncated"),
        "temperature": pl.col("temperature") > max_temperature,
        "tool_use": (answer == "tool_use") | (finish == "tool_calls"),
        "finish_reason": finish != "stop",
        "refusal": answer == "refusal",
        "no_answer": answer == "empty",
    }
    code = pl.lit(ELIGIBLE)
    for name, holding in reversed(holds.items()):
        if name in no_bypass:
            continue
        code = pl.when(holding.fill_null(False)).then(REASONS.index(name)).otherwise(code)
    return requests.select(code.cast(pl.Int8).alias("code"))["code"].to_numpy().copy()


_MEDIA = ("image", "audio", "video", "document", "file")
SLICE = 200_000  # requests whose segments, or texts, are worked on at once
_WRITTEN = r"[^\s\x1c-\x1f]"  # what a text has unless it is blank


@dataclass(frozen=True)
class Keys:
    """The key of each request, and the parts of it that the scope may compare."""

    question: np.ndarray  # int32 (n,): row of BLOCKS; of several, behind them a place in `lists`
    lists: pl.Series  # List(UInt32): rows of BLOCKS whose texts make up a compared text
    texts: pl.Series  # of BLOCKS
    history: np.ndarray  # int32 (n,): equal where the other messages are; -1: none, or ignored
    has_text: pl.Series  # Boolean: all of the compared text was logged, and it isn't blank
    has_image: pl.Series  # Boolean
    fields: Mapping[str, np.ndarray]  # system_raw and tools, int32 (n,): equal where they are

    def distinct(self, eligible: np.ndarray) -> tuple[pl.DataFrame, np.ndarray]:
        """Return the eligible requests' distinct texts, and each request's row in them, or -1."""
        asked = self.question[eligible]
        number = groups_of([asked])
        read = self._read(asked[first_of(number)])
        texts = read.unique(maintain_order=True)
        row = np.arange(len(read), dtype=np.int32)
        if len(texts) < len(read):  # blocks of other kinds, or joined ones, have the same text
            rows = texts.to_frame("text").with_row_index("row")
            found = read.to_frame("text").join(rows, on="text", maintain_order="left")
            row = found["row"].cast(pl.Int32).to_numpy()
        text = np.full(len(eligible), -1, dtype=np.int32)
        text[eligible] = row[number]
        return texts.to_frame("text"), text

    def _read(self, used: np.ndarray) -> pl.Series:
        """Return the text of each of some questions."""
        joined = used >= len(self.texts)
        read = self.texts.gather(pl.Series(used[~joined]))
        if not joined.any():
            return read
        lists = self.lists.gather(pl.Series(used[joined] - len(self.texts)))
        parts = [self._joined(lists.slice(at, SLICE)) for at in range(0, len(lists), SLICE)]
        order = np.argsort(np.argsort(joined, kind="stable"))
        return pl.concat([read, *parts]).gather(pl.Series(order))

    def _joined(self, lists: pl.Series) -> pl.Series:
        """Return the texts of lists of rows."""
        each = lists.to_frame("row").with_row_index("place").explode("row")
        each = each.with_columns(text=self.texts.gather(each["row"]))
        whole = each.group_by("place", maintain_order=True).agg(pl.col("text").str.join("\n"))
        return whole["text"]


def groups_of(columns: Iterable[pl.Series | np.ndarray]) -> np.ndarray:
    """Number equal rows the same, in order of first appearance; nulls are equal. int32 (n,).

    Arrays hold int32 or uint64. Values of series are compared by hashes of 64 bits.
    """
    from costaudit.simulate.semantic.key_kernels import numbered

    groups: np.ndarray | None = None
    for column in columns:
        values = column.hash().to_numpy() if isinstance(column, pl.Series) else column
        code = numbered(values.astype(np.uint64, copy=False))
        count = np.uint64(int(code.max(initial=0)) + 1)
        if groups is None or not groups.any():
            groups = code
        elif count > 1:
            groups = numbered(groups.astype(np.uint64) * count + code.astype(np.uint64))
    assert groups is not None
    return groups


def first_of(groups: np.ndarray) -> np.ndarray:
    """Return the first place of each group of `groups_of`; int32 (groups,)."""
    first = np.empty(int(groups.max(initial=-1)) + 1, np.int32)
    first[groups[::-1]] = np.arange(len(groups) - 1, -1, -1, dtype=np.int32)
    return first


def keys_of(
    requests: pl.DataFrame, blocks: pl.DataFrame, key: CacheKey, at_once: int = SLICE
) -> Keys:
    """Return the keys: each request's messages, split into the compared text and the history.

    `last_user` compares only the last user message. `conversation` compares the last user message
    of requests whose other messages are equal. `full` compares all messages, joined. `prompt`
    compares the system text and all messages. A message is a run of segments of one role.
    Lists of blocks are compared by digests of 64 bits.
    """
    from costaudit.simulate.semantic import key_kernels as kernels

    count, known, told = len(requests), Rows(blocks["block_id"]), _told(blocks["text"])
    whole = {"full": kernels.MESSAGES, "prompt": kernels.PROMPT}.get(key, 0)
    digests = np.zeros((4, count), np.uint64)
    question = np.empty(count, np.int32)
    has_text, has_image = np.empty(count, np.bool_), np.empty(count, np.bool_)
    lists = _Lists(len(blocks))
    for at in range(0, count, at_once):
        here = slice(at, at + at_once)
        prompts = _Prompts.of(requests["segments"][here], known)
        compared = np.zeros(len(prompts.row), np.bool_)
        kernels.read_keys(
            prompts.offsets, prompts.role, prompts.media, prompts.name, prompts.row, told, whole,
            digests[:, here], compared, question[here], has_text[here], has_image[here],
        )  # fmt: skip
        lists.add(prompts, compared, digests[kernels.COMPARED, here], question[here])
    history = np.full(count, -1, np.int32)
    if key == "conversation":
        history = groups_of([digests[kernels.OTHERS]])
        history[digests[kernels.OTHERS] == 0] = -1
    return Keys(
        question=question,
        lists=lists.distinct(question),
        texts=blocks["text"],
        history=history,
        has_text=pl.Series(has_text),
        has_image=pl.Series(has_image),
        fields={
            "system_raw": groups_of([digests[kernels.SYSTEM_RAW]]),
            "tools": groups_of([digests[kernels.TOOL_LIST]]),
        },
    )


def _told(texts: pl.Series) -> np.ndarray:
    """Return what is known about each text, uint8; the last one is of a block that is not there."""
    from costaudit.simulate.semantic import key_kernels as kernels

    told = np.zeros(len(texts) + 1, np.uint8)
    told[:-1] = texts.is_not_null().to_numpy() * np.uint8(kernels.KNOWN)
    told[:-1] |= texts.str.contains(_WRITTEN).fill_null(False).to_numpy() * np.uint8(
        kernels.WRITTEN
    )
    return told


@dataclass(frozen=True)
class _Prompts:
    """The segments of some requests; request i owns offsets[i]:offsets[i + 1]."""

    offsets: np.ndarray  # int64 (n + 1,)
    role: np.ndarray  # int16, index into ROLES, or -1
    media: np.ndarray  # bool
    name: np.ndarray  # uint64, equal for equal blocks
    row: np.ndarray  # int32, of BLOCKS; -1 for a block that is not there

    @classmethod
    def of(cls, lists: pl.Series, known: Rows) -> "_Prompts":
        """Lay the column `segments` out flat."""
        sizes = sizes_of(lists)
        inner = lists.filter(pl.Series(sizes > 0)).explode(empty_as_null=False).struct.unnest()
        ids = inner["block_id"]
        ids = ids.fill_null("") if ids.dtype == pl.String else ids
        names = ids.hash() if ids.dtype == pl.String else ids.cast(pl.UInt64)
        return cls(
            offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)]),
            role=codes_of(inner["role"], ROLES),
            media=inner["kind"].is_in(_MEDIA).fill_null(False).to_numpy(),
            name=names.to_numpy(),
            row=known.of(ids),
        )


class _Lists:
    """The distinct lists of several rows that are compared, numbered from `first` on."""

    def __init__(self, first: int) -> None:
        self._first = first
        self._lists = [pl.Series("row", [], pl.List(pl.UInt32))]
        self._digests = [np.empty(0, np.uint64)]
        self._count = 0

    def add(
        self, prompts: _Prompts, compared: np.ndarray, digest: np.ndarray, question: np.ndarray
    ) -> None:
        """Number the lists of the requests whose `question` is SEVERAL."""
        from costaudit.simulate.semantic import key_kernels as kernels

        several = np.flatnonzero(question == kernels.SEVERAL)
        if not len(several):
            return
        number = groups_of([digest[several]])
        first = first_of(number)
        question[several] = number + (self._first + self._count)
        owner = np.repeat(np.arange(len(question)), np.diff(prompts.offsets))
        kept = compared & np.isin(owner, several[first])
        rows = pl.DataFrame({"request": owner[kept], "row": prompts.row[kept].astype(np.uint32)})
        self._lists.append(rows.group_by("request", maintain_order=True).agg("row")["row"])
        self._digests.append(digest[several[first]])
        self._count += len(first)

    def distinct(self, question: np.ndarray) -> pl.Series:
        """Return the lists of all slices, and number them anew in `question`."""
        number = groups_of([np.concatenate(self._digests)])
        listed = question >= self._first
        question[listed] = number[question[listed] - self._first] + self._first
        return pl.concat(self._lists).gather(pl.Series(first_of(number)))
