"""Compute the cost of running a response cache on machines of a price list."""

import math
import tomllib
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files

from costaudit.contracts.audit import Assumption
from costaudit.errors import UsageError

HOURS_MONTH = Decimal(730)
_GIB = 1 << 30


@dataclass(frozen=True)
class Node:
    """One size of machine."""

    name: str
    size: float  # GiB of memory for a store, lookups a second for an embedder
    usd_month: Decimal


@dataclass(frozen=True)
class Bought:
    """Machines of one size."""

    node: str  # its name; "given" if the user set the price
    count: int
    usd_month: Decimal


@dataclass(frozen=True)
class CacheCosts:
    """The user's settings for machines; with None and "", the price list decides."""

    store_usd: Decimal | None = None  # a month, for the store of any size
    node: str = ""  # the store's node
    embed_usd: Decimal | None = None  # a month, for embedding by a machine or an API

    def check(self) -> None:
        """Raise UsageError for a node that is not in the list."""
        if self.node:
            _named(self.node)


@cache
def _listed(kind: str) -> tuple[Node, ...]:
    data = tomllib.loads(files("costaudit.costing.plans").joinpath("nodes.toml").read_text("utf-8"))
    size = "gib" if kind == "store" else "lookups_s"
    return tuple(
        Node(row["name"], row[size], Decimal(row["usd_hour"]) * HOURS_MONTH) for row in data[kind]
    )


@cache
def _usable() -> float:
    data = tomllib.loads(files("costaudit.costing.plans").joinpath("nodes.toml").read_text("utf-8"))
    return float(data["usable_share"])


def _named(name: str) -> Node:
    found = [one for one in _listed("store") if one.name == name]
    if not found:
        raise UsageError(
            f"There is no node {name!r} in the price list.",
            hint=f"Choose from {', '.join(one.name for one in _listed('store'))}, or give "
            "--store-usd.",
        )
    return found[0]


def store_for(total_bytes: int, costs: CacheCosts) -> Bought:
    """Return the cheapest nodes that hold `total_bytes`."""
    if costs.store_usd is not None:
        return Bought("given", 1, costs.store_usd)
    choice = (_named(costs.node),) if costs.node else _listed("store")
    return _cheapest(choice, total_bytes / _GIB / _usable())


def embedder_for(lookups_s: float, costs: CacheCosts) -> Bought:
    """Return the cheapest machines that embed `lookups_s` questions a second."""
    if costs.embed_usd is not None:
        return Bought("given", 1, costs.embed_usd)
    return _cheapest(_listed("embedder"), lookups_s)


def _cheapest(choice: tuple[Node, ...], wanted: float) -> Bought:
    offers = [
        Bought(node.name, count, count * node.usd_month)
        for node in choice
        for count in [max(math.ceil(wanted / node.size), 1)]
    ]
    return min(offers, key=lambda one: (one.usd_month, one.count))


def store_assumption(costs: CacheCosts) -> Assumption:
    """Return the assumption about the prices of a response cache's machines."""
    value = "the cheapest nodes that hold it"
    if costs.store_usd is not None:
        value = f"${costs.store_usd} a month"
    elif costs.node:
        value = f"nodes of type {costs.node}"
    embed = "the cheapest machine that keeps up with the busiest hour"
    if costs.embed_usd is not None:
        embed = f"${costs.embed_usd} a month"
    return Assumption(
        name="vector store",
        value=f"{value}; embedding on {embed}, or at its API's price",
        why="AWS on-demand list prices (us-east-1), not confirmed; a store needs whole nodes, "
        "and exact matching needs a store too",
        option="--store-usd, --node, --embed-usd",
    )
