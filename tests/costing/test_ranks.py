"""Users and sessions are grouped by rank of cost; no group is small enough to identify anyone."""

import itertools
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.costing.groups.ranks import FEWEST, first_rank, ranks, spend_groups
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.spend import spend
from tests.costing.logs import log


def test_twelve_users_by_hand() -> None:
    """User k makes k calls at $1: the five most expensive, 12 to 8, make 50 of 78."""
    rows = [
        {"user": f"u{user}", "input_uncached_tokens": 400_000}
        for user in range(1, 13)
        for _ in range(user)
    ]
    requests = log({"user": None, "input_uncached_tokens": 400_000}, *rows)
    groups = spend_groups(requests, np.ones(len(requests)))
    assert set(groups) == {"user_rank"}
    found = spend(requests, price_requests(requests), groups=groups).by["user_rank"]
    assert [(row.group, row.cost.total_usd, row.cost.requests) for row in found] == [
        ("", Decimal(1), 1),
        ("1–5", Decimal(50), 50),
        ("6–12", Decimal(28), 28),
    ]


@pytest.mark.parametrize(("members", "written"), [
    (5, ["1–5"]),
    (9, ["1–9"]),
    (10, ["1–5", "6–10"]),
    (1_000, ["1–10", "11–100", "101–500", "501–1,000"]),
])  # fmt: skip
def test_groups_end_at_shares_of_the_members(members: int, written: list[str]) -> None:
    names = pl.Series([f"u{i}" for i in range(members)])
    found = ranks(names, np.arange(members, 0, -1).astype(float)).unique().to_list()
    assert sorted(found, key=first_rank) == written


@given(st.lists(st.integers(0, 40), min_size=1, max_size=200))
def test_no_group_holds_fewer_than_five_and_dearer_ones_come_first(numbers: list[int]) -> None:
    users = pl.Series([f"u{n}" for n in numbers])
    requests = log(*({"user": user} for user in users))
    groups = spend_groups(requests, np.array(numbers, float))
    if users.n_unique() < FEWEST:
        assert groups == {}
        return
    frame = pl.DataFrame({"user": users, "usd": numbers, "group": groups["user_rank"]})
    by_user = frame.group_by("user", "group").agg(pl.col("usd").sum())
    assert len(by_user) == users.n_unique()
    sizes = by_user.group_by("group").agg(
        pl.len(), least=pl.col("usd").min(), most=pl.col("usd").max()
    )
    rows = sorted(sizes.iter_rows(), key=lambda row: first_rank(row[0]))
    assert all(size >= FEWEST for _, size, _, _ in rows)
    assert all(one[2] >= other[3] for one, other in itertools.pairwise(rows))


def test_agents_are_named_where_the_log_names_them() -> None:
    requests = log({"agent": "planner"}, {"agent": None})
    assert spend_groups(requests, np.ones(2))["agent"].to_list() == ["planner", None]
