"""Where the two price tables differ about one model."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from costaudit.contracts.grades import PER_MTOK, format_rate
from costaudit.costing.prices.models import find_model
from costaudit.costing.prices.price_table import STANDARD
from costaudit.costing.prices.second_table import second_source

_SHOWN = {
    "input_per_mtok": "input",
    "cache_read_per_mtok": "cache read",
    "output_per_mtok": "output",
}


def disagreement(
    model: str, provider: str | None, at: datetime, rates: Mapping[str, object]
) -> list[str]:
    """Return one sentence that names the second table's rates if they differ; else an empty list.

    `rates` is a row of RATES for the standard tier, of any context band.
    """
    found = find_model(provider, model)
    if found is None or found.other is None or rates["given"]:
        return []
    over = rates["over_tokens"]
    band = over if isinstance(over, int) else 0
    second = at.hour * 3600 + at.minute * 60 + at.second
    theirs = found.other.price(STANDARD, at.date(), second, band)
    if theirs is None:
        return []
    differs = [
        f"{words} {format_rate(rate)} for {rates[name]}"
        for name, rate in zip(PER_MTOK, theirs.rates, strict=True)
        if name in _SHOWN and (name != "cache_read_per_mtok" or theirs.has_read)
        for words in [_SHOWN[name]]
        if abs(rate - Decimal(str(rates[name]))) > Decimal("1e-6") * rate
    ]
    if not differs:
        return []
    return [f"differs: {second_source()} has {', '.join(differs)}"]
