"""Users and sessions are grouped by rank of cost; no group is small enough to identify anyone."""

import itertools
from collections import Counter
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.costing.groups.ranks import FEWEST, RANKED, first_rank, ranks
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.spend import IF_LOGGED, Whole, spend, spend_of
from costaudit.costing.spending.tally import Priced
from costaudit.costing.tariff import tariff
from tests.costing.logs import log


def test_twelve_users_by_hand() -> None:
    """User k makes k calls at $1: the five most expensive, 12 to 8, make 50 of 78."""
    rows = [
        {"user": f"u{user}", "input_uncached_tokens": 400_000}
        for user in range(1, 13)
        for _ in range(user)
    ]
    requests = log({"user": None, "input_uncached_tokens": 400_000}, *rows)
    found = spend(requests, price_requests(requests), groups=RANKED).by
    assert set(found) == {"user_rank"}
    by_rank = found["user_rank"]
    assert [(row.group, row.cost.total_usd, row.cost.requests) for row in by_rank] == [
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
    found = ranks(pl.Series(range(members, 0, -1))).unique().to_list()
    assert sorted(found, key=first_rank) == written


@given(st.lists(st.integers(0, 10), min_size=FEWEST, max_size=40))
def test_no_group_holds_fewer_than_five_and_dearer_ones_come_first(usd: list[int]) -> None:
    members = pl.DataFrame({"usd": usd, "group": ranks(pl.Series(usd))})
    sizes = members.group_by("group").agg(
        pl.len(), least=pl.col("usd").min(), most=pl.col("usd").max()
    )
    rows = sorted(sizes.iter_rows(), key=lambda row: first_rank(row[0]))
    assert all(size >= FEWEST for _, size, _, _ in rows)
    assert all(one[2] >= other[3] for one, other in itertools.pairwise(rows))


@given(st.lists(st.integers(0, 12), max_size=60))
def test_members_are_ranked_by_the_cost_of_all_their_calls(users: list[int]) -> None:
    """The calls of a group of ranks are those of its members: here all cost the same."""
    requests = log(*({"user": f"u{n:02}", "output_tokens": 1} for n in users))
    found = spend(requests, price_requests(requests), groups=RANKED).by
    calls = sorted(Counter(users).values(), reverse=True)
    if len(calls) < FEWEST:
        assert found == {}
        return
    for row in found["user_rank"]:
        first, last = (int(end) for end in row.group.split("–"))
        assert row.cost.requests == sum(calls[first - 1 : last])
    assert sum(row.cost.requests for row in found["user_rank"]) == len(users)


def test_agents_are_shown_if_the_log_names_them() -> None:
    for rows, names in (([{"agent": "planner"}, {}], ["", "planner"]), ([{}, {}], None)):
        requests = log(*rows)
        prices = tariff(requests, price_requests(requests))
        whole = Whole(Priced(requests, prices.table, prices.basis))
        found = spend_of(whole, IF_LOGGED, optional=IF_LOGGED).by
        assert sorted(row.group for row in found.get("agent", ())) == (names or [])
        asked = spend_of(whole, IF_LOGGED).by["agent"]
        assert sorted(row.group for row in asked) == (names or [""])
