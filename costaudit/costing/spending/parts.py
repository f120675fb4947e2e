"""Price a part of a log as the whole log is priced."""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cached_property

import polars as pl

from costaudit.contracts.grades import Pricing
from costaudit.contracts.spend import CostMode
from costaudit.costing.cost import billed_classes
from costaudit.costing.groups.codes import keyed
from costaudit.costing.logged import (
    Basis,
    CostEvidence,
    CostVerdict,
    basis,
    cost_evidence,
    cost_verdict,
)
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.prices.overlay import Overlay
from costaudit.costing.spending.tally import Groups, Log, Stretch

NO_VERDICT = CostVerdict({}, {})  # of a log without costs


@dataclass(frozen=True)
class PriceTerms:
    """What decides the prices of all parts of a log."""

    prices: Overlay | None = None  # the user's
    mode: CostMode = "auto"
    as_of: date | None = None  # for calls without a time: the log's last day
    verdict: CostVerdict = NO_VERDICT  # by the places of rates


class Part:
    """Calls of a log, priced when their prices are asked for."""

    def __init__(self, requests: pl.DataFrame, terms: PriceTerms) -> None:
        self.requests = keyed(requests)
        self._terms = terms

    @cached_property
    def classes(self) -> pl.DataFrame:
        """TOKEN_CLASSES as billed."""
        return billed_classes(self.requests)

    @cached_property
    def pricing(self) -> Pricing:
        """The rates of the calls."""
        return price_requests(self.requests, self._terms.prices, self._terms.as_of)

    @cached_property
    def basis(self) -> Basis:
        """The logged costs that count."""
        ids = self.pricing.rates["rate_id"].to_list()
        known = dict(zip(self.pricing.places, ids, strict=True))
        verdict = _also_by(known, self._terms.verdict)
        return basis(self.requests, self.classes, self.pricing, self._terms.mode, verdict)


def _also_by(ids: dict[tuple[object, ...], int], verdict: CostVerdict) -> CostVerdict:
    """Return a verdict that also has the numbers of a part's rates."""
    return CostVerdict(
        {
            **verdict.ratios,
            **{ids[place]: verdict.ratios[place] for place in ids.keys() & verdict.ratios.keys()},
        },
        {
            words: rates | {ids[place] for place in ids.keys() & rates}
            for words, rates in verdict.faults.items()
        },
    )


def with_verdict(log: Log, terms: PriceTerms) -> PriceTerms:
    """Return terms with what the logged costs of all parts show."""
    evidence = CostEvidence({}, {})
    rates: dict[Hashable, tuple[Decimal, ...]] = {}
    for own, prices in log.map(_evidence, {}):
        evidence.add(own)
        rates |= prices
    return replace(terms, verdict=cost_verdict(evidence, rates))


def _evidence(
    stretch: Stretch, _: Groups
) -> tuple[CostEvidence, dict[Hashable, tuple[Decimal, ...]]]:
    pricing = stretch.pricing
    places = dict(zip(pricing.rates["rate_id"].to_list(), pricing.places, strict=True))
    found = cost_evidence(stretch.requests, stretch.classes, pricing).named(places)
    return found, {places[rate]: prices for rate, prices in pricing.rates_by_id.items()}
