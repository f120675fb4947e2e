"""Build steps of a ledger, and the ledger of a small log with these steps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st

from costaudit.contracts.grades import Money
from costaudit.contracts.ledger import EFFECT, Ledger, Lever
from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.costing.ledger import CacheStep, Simulate, Step, build_ledger
from costaudit.costing.months.month import month_of
from costaudit.costing.plans.worth import Terms
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.spend import spend
from costaudit.costing.tariff import tariff


def effect(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([{**dict.fromkeys(EFFECT), **row} for row in rows], schema=EFFECT)


def lever(name: str, *rows: dict[str, Any]) -> Lever:
    return Lever(name, name.title(), name, "Because.", "Do it.", "assumed", effect(*rows))


def step(name: str, hits: Sequence[bool] | None, **more: Any) -> CacheStep:
    gone = None if hits is None else np.array(hits)
    return CacheStep(
        **{
            "lever": name,
            "label": name,
            "section": name,
            "grade": "simulated",
            "hits": gone,
            **more,
        }
    )


def book(
    requests: pl.DataFrame,
    *steps: Step,
    simulate: Simulate | None = None,
    terms: Terms = Terms(),  # noqa: B008
) -> Ledger:
    prices = tariff(requests, price_requests(requests))
    total = spend(requests, prices.table).total.total_usd
    month = month_of(requests, 1.0)
    unmoved: Simulate = lambda removed, best: prices.classes  # noqa: E731
    return build_ledger(prices, simulate or unmoved, steps, month, Money(total, "measured"), terms)


# gpt-4o at 2.50 in, 1.25 cached, 10 out: 400,000 x 2.50 = 1.00 and 100,000 x 10 = 1.00.
CALL = {"input_uncached_tokens": 400_000, "output_tokens": 100_000}


MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-5", "gpt-nobody-knows")


ROW = st.fixed_dictionaries(
    {
        "model": st.sampled_from(MODELS),
        "logged_cost": st.sampled_from([None, "0.01", "0.002"]),
        "served_by": st.sampled_from(["provider", "provider", "gateway_cache"]),
        **{name: st.integers(0, 3_000) for name in TOKEN_CLASSES},
    }
)


EFFECT_ROW = st.fixed_dictionaries(
    {
        "unit": st.sampled_from([None, "a", "b"]),
        "removed": st.sampled_from([None, True]),
        "output_tokens": st.sampled_from([None, 100]),
        "model": st.sampled_from([None, *MODELS]),
        "is_batch": st.sampled_from([None, True]),
        "cold": st.sampled_from([None, True]),
    }
)
