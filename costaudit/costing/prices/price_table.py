"""Read a model's rates from the price library, by variant, service tier and band."""

import difflib
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

STANDARD = ""
BATCH = "batch"
_STANDARD_NAMES = {
    "", "default", "standard", "standard_only", "auto", "on_demand", "on-demand", "none",
}  # fmt: skip


def variant_of(service_tier: str | None, is_batch: bool | None) -> str:
    """Return the variant: "" for standard, batch, flex, priority, fast, or another tier's name."""
    name = (service_tier or "").strip().lower()
    if is_batch or name == BATCH:
        return BATCH
    return STANDARD if name in _STANDARD_NAMES else name


def price_contexts(variant: str) -> tuple[dict[str, str], ...]:
    """Return the price library's contexts that fit a variant, the most specific first."""
    if variant == BATCH:
        return ({"processing": "batch"},)
    if variant == "fast":
        return ({"service_tier": "fast"}, {"speed": "fast"})
    return ({"service_tier": variant},)


Rates = tuple[Decimal, Decimal, Decimal, Decimal, Decimal, Decimal]  # in the order of PER_MTOK
_COUNTED_APART = {
    "output_reasoning_mtok": "reasoning tokens have a rate of their own, which is not applied",
    "requests_kcount": "a fee per request is not included",
}


@dataclass(frozen=True)
class TablePrice:
    """The rates of one variant, day, time of day and band."""

    rates: Rates
    has_write_1h: bool
    note: str
    has_read: bool  # if False, reads are priced as input


class TableModel:
    """One model of the price library."""

    def __init__(self, provider: str, model: "ModelInfo", *, own: bool) -> None:
        self.provider = provider  # as in genai-prices
        self.name = model.id
        self._model = model
        self._own = own  # False: from a fallback provider, whose variants do not apply

    @property
    def is_borrowed(self) -> bool:
        """Return whether the library found the model in another provider's list."""
        return not self._own

    @property
    def has_price(self) -> bool:
        """Return whether the library has a price of input tokens for any day."""
        prices = self._model.prices
        every = [p.prices for p in prices] if isinstance(prices, list) else [prices]
        return any(price.input_mtok is not None for price in every)

    @property
    def source(self) -> str:
        """Return the name of the rates' source."""
        return table_source()

    def days(self) -> set[date]:
        """Return the first day of each rate period."""
        from genai_prices.types import StartDateConstraint

        return {c.start_date for c in self._constraints() if isinstance(c, StartDateConstraint)}

    def seconds(self) -> set[int]:
        """Return the seconds of the day, in UTC, at which the rates change."""
        from genai_prices.types import TimeOfDateConstraint

        daily = [c for c in self._constraints() if isinstance(c, TimeOfDateConstraint)]
        return {_second(t) for c in daily for t in (c.start_time, c.end_time)}

    def bands(self) -> set[int]:
        """Return the numbers of input tokens above which the rates change."""
        starts: set[int] = set()
        prices = self._model.prices
        every = [p.prices for p in prices] if isinstance(prices, list) else [prices]
        every += [variant.prices for variant in self._model.price_variants or ()]
        for price in every:
            for value in price.__dict__.values():
                starts.update(tier.start for tier in getattr(value, "tiers", ()))
        return starts

    def price(self, variant: str, day: date, second: int, band: int) -> TablePrice | None:
        """Return the rates of a variant; None if the library has none of the model's own."""
        at = datetime.combine(day, time(second // 3600, second // 60 % 60, second % 60), UTC)
        if variant == STANDARD:
            return _table_price(self._model.get_prices(at), band)
        for context in price_contexts(variant):
            if self._has_variant(context, at):
                return _table_price(self._model.get_prices(at, context), band)
        return None

    def unit_rate(self, name: str, at: datetime) -> Decimal | None:
        """Return the library's standard price of a kind of unit; None if it has none."""
        return _at(getattr(self._model.get_prices(at), name, None), 0)

    def _has_variant(self, context: dict[str, str], at: datetime) -> bool:
        return self._own and any(
            variant.when == context
            and (variant.constraint is None or variant.constraint.active(at))
            for variant in self._model.price_variants or ()
        )

    def _constraints(self) -> list[object]:
        prices = self._model.prices
        dated = [p.constraint for p in prices] if isinstance(prices, list) else []
        return [*dated, *(variant.constraint for variant in self._model.price_variants or ())]


def find_first(provider: str | None, name: str) -> TableModel | None:
    """Return a model of the price library, which guesses the provider if it is None."""
    from genai_prices.data_snapshot import get_snapshot

    try:
        found, info = get_snapshot().find_provider_model(name, None, provider or None, None)
    except LookupError:
        return None
    return TableModel(found.id, info, own=any(info is one for one in found.models))


@cache
def openrouter_name(tail: str) -> str:
    """Return a model's name with its maker, as OpenRouter lists it; "" if unknown."""
    from genai_prices.data_snapshot import find_provider_by_id, get_snapshot

    router = find_provider_by_id(get_snapshot().providers, "openrouter")
    names = [m.id for m in router.models if m.id.endswith(f"/{tail.lower()}")] if router else []
    return names[0] if len(names) == 1 else ""


def similar_models(provider: str | None, model: str, limit: int = 3) -> tuple[str, ...]:
    """Return names of the price table that are like `model`, the most similar first."""
    from genai_prices.data_snapshot import find_provider_by_id, get_snapshot

    providers = get_snapshot().providers
    given = find_provider_by_id(providers, provider) if provider else None
    names = sorted({m.id for p in ([given] if given else providers) for m in p.models})
    return tuple(difflib.get_close_matches(model.lower(), names, n=limit, cutoff=0.5))


def providers_of(model: str) -> tuple[str, ...]:
    """Return the providers whose list in the price table has a model of exactly this name."""
    from genai_prices.data_snapshot import get_snapshot

    name = model.lower()
    providers = get_snapshot().providers
    return tuple(p.id for p in providers if any(m.id.lower() == name for m in p.models))


@cache
def table_source() -> str:
    """Return the price library's name and version."""
    return f"genai-prices {version('genai-prices')}"


def _table_price(price: "ModelPrice", band: int) -> TablePrice | None:
    base = _at(price.input_mtok, band)
    if base is None:
        return None
    read = _at(price.cache_read_mtok, band)
    write = _at(price.cache_write_mtok, band)
    write_1h = _at(price.cache_write_1h_mtok, band)
    output = _at(price.output_mtok, band)
    notes = [text for key, text in _COUNTED_APART.items() if getattr(price, key) is not None]
    if read is None:
        notes.append("no cached rate: cache reads priced as input")
    plain = write if write is not None else base
    rates = (
        base,
        read if read is not None else base,
        plain,
        write_1h if write_1h is not None else plain,
        plain,
        output if output is not None else Decimal(0),
    )
    has_write_1h = write_1h is not None or write is None
    return TablePrice(rates, has_write_1h, "; ".join(sorted(notes)), read is not None)


def _at(price: "Decimal | TieredPrices | None", band: int) -> Decimal | None:
    if price is None or isinstance(price, Decimal):
        return price
    applicable = price.base
    for tier in price.tiers:
        if band >= tier.start:
            applicable = tier.price
    return applicable


def _second(value: time) -> int:
    at = datetime.combine(date(1970, 1, 1), value if value.tzinfo else value.replace(tzinfo=UTC))
    utc = at.astimezone(UTC)
    return utc.hour * 3600 + utc.minute * 60 + utc.second
