"""Answers worth having in a cache before the first question: chosen, and put there."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.run_dir import atomic_write
from costaudit.errors import InsufficientDataError, UsageError
from costaudit.replay.cache import CacheSettings, Entry, LiveCache
from costaudit.replay.stream import ReplayStream


@dataclass(frozen=True)
class WarmCluster:
    """A cluster of questions, as the answers' audit sees it."""

    cluster_id: str
    cost_usd: Decimal  # of its requests, in the log
    ttl_s: float | None  # by how fast its answers change; None: they don't


@dataclass(frozen=True)
class WarmAnswer:
    """One answer worth having."""

    index: int  # of the request that it answered
    request_id: str
    cluster_id: str
    question: str
    answer: str
    row: int  # of the question's text and vector
    partition: int
    ttl_s: float | None
    hits: int  # that it served in the simulation
    saved_usd: float  # what those had cost


def answers_worth_having(
    stream: ReplayStream,
    texts: Sequence[str],
    outcomes: pl.DataFrame,
    cluster_of: Sequence[str],
    clusters: Sequence[WarmCluster],
    most: int,
) -> list[WarmAnswer]:
    """Choose answers that served hits, all of those judged right, from the dearest clusters down.

    `outcomes` are the simulated ones of the policy that the cache runs; `cluster_of` names each
    text row's cluster, "" for none. Of several answers to one question the newest is taken.
    Raises InsufficientDataError where no hit was judged.
    """
    hits = outcomes.filter(result="hit")
    if not hits["right"].is_not_null().any():
        raise InsufficientDataError(
            "No answer is known to be consistent, so none is worth keeping.",
            hint="It takes a log with answers and repeated questions.",
        )
    costs = stream.cost_usd if stream.cost_usd is not None else np.zeros(len(stream))
    priced = pl.DataFrame({"request_id": list(stream.request_ids), "cost_usd": costs})
    served = (
        hits.join(priced, on="request_id")
        .group_by("matched_id")
        .agg(
            hits=pl.len(),
            saved_usd=pl.col("cost_usd").fill_nan(0).sum(),
            judged=pl.col("right").is_not_null().sum(),
            wrong=(~pl.col("right")).sum(),
        )
        .filter(pl.col("judged") > 0, pl.col("wrong") == 0)
    )
    places = {request_id: index for index, request_id in enumerate(stream.request_ids)}
    ranked = sorted(clusters, key=lambda cluster: (-cluster.cost_usd, cluster.cluster_id))
    ranks = {cluster.cluster_id: rank for rank, cluster in enumerate(ranked)}
    newest: dict[tuple[int, int], WarmAnswer] = {}
    for owner, count, saved_usd in served.select("matched_id", "hits", "saved_usd").iter_rows():
        index = places[owner]
        row, partition = int(stream.rows[index]), int(stream.partitions[index])
        other = newest.get((partition, row))
        if cluster_of[row] not in ranks or (other is not None and other.index > index):
            continue
        newest[partition, row] = WarmAnswer(
            index,
            owner,
            cluster_of[row],
            texts[row],
            stream.answers[index],
            row,
            partition,
            ranked[ranks[cluster_of[row]]].ttl_s,
            count,
            saved_usd,
        )
    chosen = sorted(
        newest.values(), key=lambda one: (ranks[one.cluster_id], -one.saved_usd, one.index)
    )
    return chosen[:most]


def write_warm_file(answers: Sequence[WarmAnswer], scopes: Mapping[int, str], path: Path) -> None:
    """Write answers as JSON lines, with the scope that each partition stands for."""
    lines = []
    for one in answers:
        fields = asdict(one)
        for name in ("index", "row", "partition"):
            del fields[name]
        lines.append(msgspec.json.encode({**fields, "scope": scopes[one.partition]}))
    with atomic_write(path) as part:
        part.write_bytes(b"".join(line + b"\n" for line in lines))


def check_fillable(cache: LiveCache) -> None:
    """Raise UsageError for a cache that keeps nothing beyond this run, or fills itself."""
    if cache.traits.asks_models or not cache.traits.outlives_run:
        raise UsageError(
            f"{cache.traits.name} can't be filled beforehand.",
            hint="Warm a redis:// cache, or write the answers to a file.",
        )


def warm_cache(
    answers: Sequence[WarmAnswer],
    texts: Sequence[str],
    vectors: npt.NDArray[np.float32],
    cache: LiveCache,
    prefix: str,
) -> int:
    """Put answers into a live cache under a new prefix, and leave them there; gives how many."""
    check_fillable(cache)
    cache.open(CacheSettings(texts, vectors, 1.0, prefix, speed=1.0, lasting=True, owned=False))
    try:
        for one in answers:
            entry = Entry(
                one.index, one.request_id, one.row, one.partition, one.answer, 0.0, one.ttl_s
            )
            cache.store(entry, 0.0)
    except BaseException:
        cache.close(keep=False)
        raise
    cache.close(keep=True)
    return len(answers)
