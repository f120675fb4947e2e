"""Which requests a cache may answer, which text it compares, and what must be equal."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import xxhash

from costaudit.contracts.policies import CacheKey
from costaudit.contracts.requests import GATEWAY_SERVED

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


@dataclass(frozen=True)
class Keys:
    """The key of each request, and the parts of it that the scope may compare."""

    parts: pl.Series  # List(String): the BLOCKS keys whose texts make up the compared text
    texts: Mapping[str, str]  # text by BLOCKS key
    history: pl.Series  # digest of the other messages; null where they are ignored
    has_text: pl.Series  # Boolean: all of the compared text was logged, and it isn't blank
    has_image: pl.Series  # Boolean
    fields: Mapping[str, pl.Series]  # system_raw and tools, by their BLOCKS keys

    def distinct(self, eligible: np.ndarray) -> tuple[pl.DataFrame, np.ndarray]:
        """Return the eligible requests' distinct texts, and each request's row in them, or -1."""
        joined = self.parts.filter(pl.Series(eligible)).list.join("\n").alias("ids")
        found = joined.to_frame().unique(maintain_order=True)
        known: dict[str, int] = {}
        rows = [
            known.setdefault("\n".join(self.texts[part] for part in ids.split("\n")), len(known))
            for ids in found["ids"]
        ]
        numbered = found.with_columns(row=pl.Series(rows, dtype=pl.Int32))
        text = np.full(len(eligible), -1, dtype=np.int32)
        text[eligible] = joined.to_frame().join(
            numbered, on="ids", how="left", maintain_order="left"
        )["row"]
        digests = [xxhash.xxh3_128_hexdigest(one.encode()) for one in known]
        schema = {"text_id": pl.String, "text": pl.String}
        return pl.DataFrame({"text_id": digests, "text": list(known)}, schema=schema), text


def keys_of(
    requests: pl.DataFrame,
    blocks: pl.DataFrame,
    key: CacheKey,
) -> Keys:
    """Return the keys: each request's messages, split into the compared text and the history.

    `last_user` compares only the last user message. `conversation` compares the last user message
    of requests whose other messages are equal. `full` compares all messages, joined. `prompt`
    compares the system text and all messages. A message is a run of segments of one role.
    """
    grouped = _grouped(_marked(requests, key))
    numbered = pl.LazyFrame({"request": np.arange(len(requests), dtype=np.uint32)})
    frame = numbered.join(grouped, on="request", how="left", maintain_order="left").collect()
    parts = frame["parts"].fill_null([])
    texts = _texts(parts, blocks)
    history = _digests(frame["others"])
    return Keys(
        parts=parts,
        texts=texts,
        history=history if key == "conversation" else history.clear(len(history)),
        has_text=_readable(parts, texts),
        has_image=frame["has_image"].fill_null(False),
        fields={name: frame[name].fill_null("") for name in ("system_raw", "tools")},
    )


def _marked(requests: pl.DataFrame, key: CacheKey) -> pl.LazyFrame:
    """Return one row per segment: whether it belongs to a message and to the compared text."""
    place, question = pl.col("place"), pl.col("question")
    turns = pl.col("message") & (pl.col("role") != "user")
    compared = {
        "full": pl.col("message"),
        "prompt": pl.col("message") | (pl.col("role") == "system"),
    }
    return (
        requests.lazy()
        .select(pl.int_range(pl.len(), dtype=pl.UInt32).alias("request"), "segments")
        .filter(pl.col("segments").list.len() > 0)
        .explode("segments")
        .unnest("segments")
        .select("request", "role", "kind", "block_id")
        .with_columns(
            message=pl.col("role").is_in(_MESSAGES), place=pl.int_range(pl.len(), dtype=pl.Int64)
        )
        .with_columns(last=place.filter(pl.col("role") == "user").max().over("request"))
        .with_columns(turn=place.filter(turns & (place < pl.col("last"))).max().over("request"))
        .with_columns(question=(pl.col("role") == "user") & (place > pl.col("turn").fill_null(-1)))
        .with_columns(compared=compared.get(key, question))
    )


def _grouped(segments: pl.LazyFrame) -> pl.LazyFrame:
    block, role = pl.col("block_id"), pl.col("role")
    compared, media = pl.col("compared"), pl.col("kind").is_in(_MEDIA)
    around = pl.concat_str("role", "block_id", separator=":")
    return segments.group_by("request").agg(
        parts=block.filter(compared),
        others=around.filter(pl.col("message") & ~compared).str.join(" "),
        system_raw=block.filter(role == "system").str.join(" "),
        tools=block.filter(role == "tools").str.join(" "),
        has_image=(pl.col("message") & media).any(),
    )


def _texts(parts: pl.Series, blocks: pl.DataFrame) -> dict[str, str]:
    wanted = pl.DataFrame({"block_id": parts.explode().drop_nulls().unique()})
    known = blocks.select("block_id", "text").drop_nulls().join(wanted, on="block_id", how="semi")
    return dict(zip(known["block_id"], known["text"], strict=True))


def _readable(parts: pl.Series, texts: Mapping[str, str]) -> pl.Series:
    """Return which requests' parts are all known, and not all blank."""
    known = pl.DataFrame(
        {"part": list(texts), "written": [bool(text.strip()) for text in texts.values()]},
        schema={"part": pl.String, "written": pl.Boolean},
    )
    rows = pl.DataFrame({"part": parts}).with_row_index("request")
    found = (
        rows.explode("part")
        .join(known, on="part", how="left")
        .group_by("request")
        .agg(has_text=pl.col("written").is_not_null().all() & pl.col("written").any())
    )
    told = rows.join(found, on="request", how="left", maintain_order="left")
    return told["has_text"].fill_null(False)


def _digests(joined: pl.Series) -> pl.Series:
    """Return short digests of strings; equal strings have equal digests."""
    shortened = [xxhash.xxh3_128_hexdigest(text.encode()) if text else None for text in joined]
    return pl.Series("history", shortened, dtype=pl.String)
