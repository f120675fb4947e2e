"""The cost of one state of the log, and the bill of requests that are no longer sent."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.tariff import tariff
from costaudit.costing.traffic import Traffic
from tests.costing.logs import log

# gpt-4o: 1,000 x 2.50 + 100 x 10 = 3,500 / 10^6; a search costs a cent.
CALL = {"input_uncached_tokens": 1_000, "output_tokens": 100}
SEARCH = {**CALL, "billed_units": [{"unit": "web_search", "quantity": 3.0}]}


def traffic(*rows: Mapping[str, Any]) -> Traffic:
    requests = log(*rows)
    return Traffic.logged(tariff(requests, price_requests(requests)))


def test_units_are_billed_beside_tokens_while_their_request_is_sent() -> None:
    whole = traffic(CALL, SEARCH)
    assert whole.request_usd() == pytest.approx([0.0035, 0.0335])
    assert (whole.cost().units_usd, whole.cost().total_usd) == (Decimal("0.03"), Decimal("0.037"))
    less = whole.simulated(whole.classes, pl.Series([False, True]), None)
    assert less.request_usd() == pytest.approx([0.0035, 0])
    assert less.cost().units_usd == 0 and less.cost().total_usd == Decimal("0.0035")
    assert less.cost().requests == 1


def test_a_request_that_is_not_sent_has_no_tokens() -> None:
    whole = traffic(CALL, CALL)
    less = whole.simulated(whole.classes, pl.Series([True, False]), whole.classes)
    assert less.classes.row(0) == (0,) * 6 and less.classes.row(1) == whole.classes.row(1)
