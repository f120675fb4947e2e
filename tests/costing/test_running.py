"""The running cost of a cache is that of its lookups and its store."""

from datetime import date
from decimal import Decimal

import pytest

from costaudit.costing.plans.nodes import CacheCosts, embedder_for, store_for
from costaudit.costing.plans.plan import break_even_requests
from costaudit.costing.plans.sizing import embedding_per_mtok
from costaudit.errors import UsageError

DAY = date(2026, 11, 20)


@pytest.mark.parametrize(
    ("embedder", "rate"),
    [
        ("minilm", "0"),
        ("./models/ours", "0"),
        ("openai:text-embedding-3-small", "0.02"),
        ("openai:nobody-knows", None),
    ],
)
def test_a_hosted_embedder_has_a_price(embedder: str, rate: str | None) -> None:
    assert embedding_per_mtok(embedder, DAY) == (None if rate is None else Decimal(rate))


@pytest.mark.parametrize(
    ("gib", "node", "count", "usd"),
    [
        (0.01, "cache.t4g.micro", 1, "9.344"),  # 0.0128 x 730
        (0.375, "cache.t4g.micro", 1, "9.344"),  # three quarters of half a GiB
        (0.38, "cache.t4g.small", 1, "18.688"),  # two of the smaller ones cost the same
        (18.0, "cache.r7g.xlarge", 1, "255.208"),
        (400.0, "cache.r7g.large", 41, "5243.736"),  # 533 GiB of nodes: 41 x 13.07
    ],
)
def test_a_store_is_bought_in_whole_nodes(gib: float, node: str, count: int, usd: str) -> None:
    bought = store_for(int(gib * 2**30), CacheCosts())
    assert (bought.node, bought.count, bought.usd_month) == (node, count, Decimal(usd))


def test_the_reader_s_own_machines_win() -> None:
    assert store_for(1, CacheCosts(store_usd=Decimal(0))).usd_month == 0
    assert store_for(1, CacheCosts(node="cache.r7g.large")).usd_month == Decimal("127.896")
    assert store_for(20 << 30, CacheCosts(node="cache.r7g.large")).count == 3  # 9.8 GiB usable each
    assert embedder_for(100.0, CacheCosts(embed_usd=Decimal(5))).usd_month == 5
    bought = embedder_for(30.0, CacheCosts())  # two of the smallest ones cost slightly more
    assert (bought.node, bought.count) == ("c7g.large", 1)
    with pytest.raises(UsageError, match="no node 'big'"):
        CacheCosts(node="big").check()


@pytest.mark.parametrize(
    ("saved", "requests", "fixed", "volume"),
    [
        ("30", 1_000, "280", 9_334),  # 0.03 a request: 280 / 0.03 = 9,333.3
        ("30", 1_000, "0", 0),
        ("0", 1_000, "280", None),
        ("-1", 1_000, "280", None),
        ("30", 0, "280", None),
    ],
)
def test_the_break_even_volume(saved: str, requests: int, fixed: str, volume: int | None) -> None:
    assert break_even_requests(Decimal(saved), requests, Decimal(fixed)) == volume
