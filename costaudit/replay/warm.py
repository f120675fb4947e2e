"""Choose answers to store in a cache before the first question, and write them to a file."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from costaudit.contracts.run_dir import atomic_write
from costaudit.errors import InsufficientDataError
from costaudit.replay.stream import ReplayStream


@dataclass(frozen=True)
class WarmCluster:
    """A cluster of questions, with what the audit knows about it."""

    cluster_id: str
    cost_usd: Decimal  # cost of its requests in the log
    ttl_s: float | None  # from how fast its answers change; None: they don't


@dataclass(frozen=True)
class WarmAnswer:
    """One answer to store."""

    index: int  # index of the request that it answered
    request_id: str
    cluster_id: str
    question: str
    answer: str
    row: int  # row of the question's text and vector
    partition: int
    ttl_s: float | None
    hits: int  # hits in the simulation
    saved_usd: float  # logged cost of these hits
    scope: Mapping[str, str] = field(default_factory=dict)  # field → value, of the application
    follows: bool = False  # it answers a later turn: other messages precede it


def answers_worth_having(
    stream: ReplayStream,
    texts: Sequence[str],
    outcomes: pl.DataFrame,
    cluster_of: Sequence[str],
    clusters: Sequence[WarmCluster],
    most: int,
) -> list[WarmAnswer]:
    """Return answers that only served hits judged right, from the most expensive clusters first.

    `outcomes` are the simulated OUTCOMES of the cache's policy; `cluster_of` names each text row's
    cluster, "" for none. Of several answers to one question, the newest is used. Raises
    InsufficientDataError if no hit was judged.
    """
    hits = outcomes.filter(result="hit")
    if not hits["right"].is_not_null().any():
        raise InsufficientDataError(
            "No answer is known to be consistent, so none can be stored.",
            hint="Use a log with answers and repeated questions.",
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
            stream.scopes[index] if stream.scopes else {},
            bool(stream.follows[index]) if len(stream.follows) else False,
        )
    chosen = sorted(
        newest.values(), key=lambda one: (ranks[one.cluster_id], -one.saved_usd, one.index)
    )
    return chosen[:most]


def write_warm_file(answers: Sequence[WarmAnswer], path: Path) -> None:
    """Write answers as JSON lines, each with the scope within which it is valid."""
    lines = []
    for one in answers:
        fields = asdict(one)
        for name in ("index", "row", "partition"):
            del fields[name]
        lines.append(msgspec.json.encode(fields))
    with atomic_write(path) as part:
        part.write_bytes(b"".join(line + b"\n" for line in lines))
