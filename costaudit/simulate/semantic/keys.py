"""Which requests a cache may answer, which text it compares, and what must be equal."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import xxhash

from costaudit.contracts.policies import CacheKey
from costaudit.contracts.requests import GATEWAY_SERVED
from costaudit.simulate.segments import Rows

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


_MESSAGES = ("user", "assistant", "tool")  # the scope compares tools and system prompts
_MEDIA = ("image", "audio", "video", "document", "file")


SLICE = 200_000  # requests whose segments, or texts, are worked on at once
_WRITTEN = r"[^\s\x1c-\x1f]"  # what a text has unless it is blank


@dataclass(frozen=True)
class Keys:
    """The key of each request, and the parts of it that the scope may compare."""

    parts: pl.Series  # String: rows of BLOCKS whose texts make up the compared text
    texts: pl.Series  # of BLOCKS
    history: pl.Series  # digest of the other messages; null where they are ignored
    has_text: pl.Series  # Boolean: all of the compared text was logged, and it isn't blank
    has_image: pl.Series  # Boolean
    fields: Mapping[str, pl.Series]  # system_raw and tools, by their BLOCKS keys

    def distinct(self, eligible: np.ndarray) -> tuple[pl.DataFrame, np.ndarray]:
        """Return the eligible requests' distinct texts, and each request's row in them, or -1."""
        parts = self.parts.filter(pl.Series(eligible)).to_frame("parts")
        found = parts.unique(maintain_order=True)
        read = pl.concat([self._joined(one["parts"]) for one in found.iter_slices(SLICE)] or [_NO])
        texts = read.to_frame().unique(maintain_order=True).with_row_index("row")
        found = found.with_columns(text=read).join(texts, on="text", how="left").drop("text")
        text = np.full(len(eligible), -1, dtype=np.int32)
        text[eligible] = parts.join(found, on="parts", how="left", maintain_order="left")["row"]
        return texts.select(_text_ids(texts["text"]), "text"), text

    def _joined(self, parts: pl.Series) -> pl.Series:
        """Return the texts whose rows in BLOCKS each value lists."""
        rows = parts.str.split(" ").cast(pl.List(pl.UInt32))
        if (rows.list.len() == 1).all():
            return self.texts.gather(rows.list.first()).alias("text")
        each = rows.to_frame("row").with_row_index("place").explode("row")
        each = each.with_columns(text=self.texts.gather(each["row"]))
        whole = each.group_by("place", maintain_order=True).agg(pl.col("text").str.join("\n"))
        return whole["text"]


_NO = pl.Series("text", [], pl.String)


def _text_ids(texts: pl.Series) -> pl.Series:
    """Return the digests by which vectors are stored."""
    parts = [
        pl.Series([xxhash.xxh3_128_hexdigest(one.encode()) for one in texts.slice(at, SLICE)])
        for at in range(0, len(texts), SLICE)
    ]
    return pl.concat(parts or [_NO]).alias("text_id")


def keys_of(requests: pl.DataFrame, blocks: pl.DataFrame, key: CacheKey) -> Keys:
    """Return the keys: each request's messages, split into the compared text and the history.

    `last_user` compares only the last user message. `conversation` compares the last user message
    of requests whose other messages are equal. `full` compares all messages, joined. `prompt`
    compares the system text and all messages. A message is a run of segments of one role.
    """
    texts = blocks["text"]
    blank = pl.DataFrame({"text": texts}).select(
        known=pl.col("text").is_not_null(),
        written=pl.col("text").str.contains(_WRITTEN).fill_null(False),
    )
    known = Rows(blocks["block_id"])
    slices = list(requests.select("segments").iter_slices(SLICE)) or [requests.select("segments")]
    frame = pl.concat([_grouped(_marked(one, known, key), blank, len(one)) for one in slices])
    history = _digests(frame["others"])
    return Keys(
        parts=frame["parts"],
        texts=texts,
        history=history if key == "conversation" else history.clear(len(history)),
        has_text=frame["has_text"].fill_null(False),
        has_image=frame["has_image"].fill_null(False),
        fields={name: frame[name].fill_null("") for name in ("system_raw", "tools")},
    )


def _marked(requests: pl.DataFrame, known: Rows, key: CacheKey) -> pl.DataFrame:
    """Return one row per segment: whether it belongs to a message and to the compared text."""
    place, question = pl.col("place"), pl.col("question")
    turns = pl.col("message") & (pl.col("role") != "user")
    compared = {
        "full": pl.col("message"),
        "prompt": pl.col("message") | (pl.col("role") == "system"),
    }
    parts = (
        requests.with_row_index("request")
        .filter(pl.col("segments").list.len() > 0)
        .explode("segments")
        .unnest("segments")
        .select("request", "role", "kind", "block_id")
    )
    return (
        parts.lazy()
        .with_columns(
            message=pl.col("role").is_in(_MESSAGES),
            place=pl.int_range(pl.len(), dtype=pl.Int64),
            row=pl.Series(known.of(parts["block_id"])),
        )
        .with_columns(last=place.filter(pl.col("role") == "user").max().over("request"))
        .with_columns(turn=place.filter(turns & (place < pl.col("last"))).max().over("request"))
        .with_columns(question=(pl.col("role") == "user") & (place > pl.col("turn").fill_null(-1)))
        .with_columns(compared=compared.get(key, question))
        .collect()
    )


def _grouped(segments: pl.DataFrame, blank: pl.DataFrame, requests: int) -> pl.DataFrame:
    """Return one row per request; `blank` says which BLOCKS have text, and more than blanks."""
    block, role = pl.col("block_id").cast(pl.String), pl.col("role")
    compared, media = pl.col("compared"), pl.col("kind").is_in(_MEDIA)
    around = pl.concat_str("role", "block_id", separator=":")
    row = segments["row"].set(segments["row"] < 0, None)
    told = segments.with_columns(
        known=blank["known"].gather(row).fill_null(False),
        written=blank["written"].gather(row).fill_null(False),
    )
    grouped = told.group_by("request").agg(
        parts=pl.col("row").filter(compared).cast(pl.String).str.join(" "),
        others=around.filter(pl.col("message") & ~compared).str.join(" "),
        system_raw=block.filter(role == "system").str.join(" "),
        tools=block.filter(role == "tools").str.join(" "),
        has_text=pl.col("known").filter(compared).all() & pl.col("written").filter(compared).any(),
        has_image=(pl.col("message") & media).any(),
    )
    numbered = pl.DataFrame({"request": np.arange(requests, dtype=np.uint32)})
    return numbered.join(grouped, on="request", how="left", maintain_order="left").drop("request")


def _digests(joined: pl.Series) -> pl.Series:
    """Return short digests of strings; equal strings have equal digests."""
    if joined.null_count() == len(joined):
        return pl.Series("history", [None], pl.String).new_from_index(0, len(joined))
    shortened = [xxhash.xxh3_128_hexdigest(text.encode()) if text else None for text in joined]
    return pl.Series("history", shortened, dtype=pl.String)
