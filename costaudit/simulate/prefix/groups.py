"""Prompt templates: requests of one endpoint and model whose prompts share a skeleton."""

import hashlib
from dataclasses import dataclass

import numpy as np
import polars as pl

from costaudit.simulate.prefix.prompts import Prompts
from costaudit.simulate.segments import Ints

MIN_SHARE = 0.05  # of the requests of an endpoint and model; rarer skeletons are put together
KEYS = ("endpoint", "provider", "model")


@dataclass(frozen=True)
class Group:
    """One prompt template."""

    template_id: str  # the same for the same endpoint, provider, model and skeleton
    endpoint: str
    provider: str
    model: str
    requests: int


@dataclass(frozen=True)
class Groups:
    """The templates, most input first, and which request is of which."""

    groups: tuple[Group, ...]
    index: Ints  # per request; -1 where it can't be simulated


def group_requests(requests: pl.DataFrame, prompts: Prompts, skeletons: pl.Series) -> Groups:
    """Group simulated requests by endpoint, provider, model and skeleton of the system prompt.

    Skeletons with less than MIN_SHARE of an endpoint's requests are one template: system prompts
    that hold documents would each be one of their own.
    """
    rows = requests.select(pl.col(KEYS).fill_null("")).with_columns(
        skeleton=skeletons.cast(pl.Int64),
        tokens=pl.Series(prompts.billed),
        chosen=pl.Series(prompts.sendable),
        order=pl.Series(_positions(prompts.order)),
    )
    rows = rows.filter("chosen").with_columns(
        often=pl.len().over(*KEYS, "skeleton") >= MIN_SHARE * pl.len().over(*KEYS)
    )
    rows = rows.with_columns(skeleton=pl.when("often").then("skeleton").otherwise(-1))
    found = (
        rows.group_by(*KEYS, "skeleton")
        .agg(requests=pl.len(), tokens=pl.col("tokens").sum(), first=pl.col("order").min())
        .sort("tokens", "first", descending=[True, False])
        .with_row_index("group")
    )
    names = found.with_columns(rank=pl.col("first").rank("dense").over(*KEYS) - 1)
    index = np.full(len(requests), -1, np.int64)
    joined = rows.join(found.select(*KEYS, "skeleton", "group"), on=[*KEYS, "skeleton"],
                       how="left", maintain_order="left")  # fmt: skip
    index[prompts.sendable] = joined["group"].to_numpy()
    return Groups(tuple(_group(row) for row in names.iter_rows(named=True)), index)


def _group(row: dict[str, object]) -> Group:
    label = "\0".join(str(row[key]) for key in (*KEYS, "rank"))
    digest = hashlib.sha256(label.encode()).hexdigest()[:8]
    return Group(
        template_id=digest,
        endpoint=str(row["endpoint"]),
        provider=str(row["provider"]),
        model=str(row["model"]),
        requests=int(str(row["requests"])),
    )


def _positions(order: Ints) -> Ints:
    positions = np.empty_like(order)
    positions[order] = np.arange(len(order))
    return positions
