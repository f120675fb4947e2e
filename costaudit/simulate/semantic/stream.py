"""Requests as a semantic cache sees them: a text, a partition to compare it in, and times."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from costaudit.contracts.policies import SemanticPolicy
from costaudit.errors import UsageError
from costaudit.simulate.semantic.eligibility import ELIGIBLE, REASONS, bypass_codes
from costaudit.simulate.semantic.keys import Keys, keys_of


@dataclass(frozen=True)
class Stream:
    """Requests in the one order, with their distinct texts."""

    texts: pl.DataFrame  # text_id (xxh3_128 of the text), text; distinct, in order of appearance
    text: np.ndarray  # int32 (n,), row of texts; -1 where bypassed
    partition: np.ndarray  # int32 (n,): equal scope fields and, by the key, equal history
    pool: np.ndarray  # int32 (n,): equal scope fields; max_entries counts here
    ts_s: np.ndarray  # float64 (n,); the request's place in the order where the log has no time
    ready_s: np.ndarray  # float64 (n,), when the answer can be served; not before ts_s
    bypass: np.ndarray  # int8 (n,), place in REASONS; ELIGIBLE where not bypassed
    timed: bool  # False: no eligible request has a time, so that no TTL can run

    def bypassed(self) -> dict[str, int]:
        """Count the bypassed requests by reason, those that occurred only."""
        counts = np.bincount(self.bypass[self.bypass != ELIGIBLE], minlength=len(REASONS))
        return {name: int(n) for name, n in zip(REASONS, counts, strict=True) if n}


def keyed_stream(
    requests: pl.DataFrame,
    blocks: pl.DataFrame,
    policy: SemanticPolicy,
    system_template: pl.Series | None = None,
    keys: Keys | None = None,
) -> Stream:
    """Key REQUESTS, already in order, under the scope, key and eligibility of a policy.

    `system_template` is the template of each request's system prompt, which the scope field
    `system` compares; raises UsageError where that field is asked for without it. `keys` are those
    of the policy's key, where they are at hand.
    """
    keys = keys or keys_of(requests, blocks, policy.key)
    codes = bypass_codes(requests, keys.has_text, keys.has_image, policy.max_temperature)
    pool, partition = _partitions(requests, policy, keys, system_template)
    ts = requests["ts"].dt.epoch("us").to_numpy().astype(np.float64) / 1e6
    untimed = requests["ts"].is_null().to_numpy()
    eligible = codes == ELIGIBLE
    timed = bool((eligible & ~untimed).any())
    if timed:
        codes[eligible & untimed] = REASONS.index("no_time")
    latency = requests["latency_ms"].fill_null(0.0).fill_nan(0.0).clip(0.0).to_numpy() / 1e3
    if not timed:
        ts, latency = np.arange(len(requests), dtype=np.float64), np.zeros(len(requests))
    elif policy.visible_after == "request":
        latency = np.zeros(len(requests))
    texts, text = keys.distinct(codes == ELIGIBLE)
    return Stream(
        texts=texts,
        text=text,
        partition=partition,
        pool=pool,
        ts_s=ts,
        ready_s=ts + latency,
        bypass=codes,
        timed=timed,
    )


def rescoped(
    stream: Stream,
    requests: pl.DataFrame,
    policy: SemanticPolicy,
    system_template: pl.Series | None,
    keys: Keys,
) -> Stream:
    """Partition a stream by the scope of another policy, which is else like the stream's own."""
    pool, partition = _partitions(requests, policy, keys, system_template)
    return replace(stream, pool=pool, partition=partition)


def _partitions(
    requests: pl.DataFrame,
    policy: SemanticPolicy,
    keys: Keys,
    system_template: pl.Series | None,
) -> tuple[np.ndarray, np.ndarray]:
    pool = _groups(_scope_frame(requests, policy, keys.fields, system_template))
    return pool, _groups(pl.DataFrame({"pool": pool, "history": keys.history}))


def _scope_frame(
    requests: pl.DataFrame,
    policy: SemanticPolicy,
    fields: Mapping[str, pl.Series],
    system_template: pl.Series | None,
) -> pl.DataFrame:
    columns = [pl.Series("nothing", np.zeros(len(requests), dtype=np.int8))]
    for field in policy.scope:
        if field == "system":
            if system_template is None:
                raise UsageError(
                    "The scope field 'system' needs the templates of the system prompts.",
                    hint="Compare bytes with 'system_raw', or leave the field out.",
                )
            columns.append(system_template.alias(field))
        else:
            columns.append(fields.get(field, requests.get_column(field, default=None)))
    return pl.DataFrame([column for column in columns if column is not None])


def _groups(frame: pl.DataFrame) -> np.ndarray:
    """Number equal rows alike, in order of first appearance; nulls are equal. int32 (n,)."""
    names = frame.columns
    distinct = frame.unique(maintain_order=True).with_row_index("group")
    numbered = frame.join(distinct, on=names, how="left", nulls_equal=True, maintain_order="left")
    return numbered["group"].to_numpy().astype(np.int32)
