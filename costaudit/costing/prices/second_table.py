"""The second price table: LiteLLM's prices, by exact model name only."""

import json
import re
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

import zstandard

from costaudit.costing.prices.price_table import BATCH, STANDARD, Rates, TablePrice

_MILLION = Decimal(1_000_000)
_SUFFIX = {STANDARD: "", BATCH: "_batches", "fast": "_ultrafast"}
_UNIT_FIELDS = {  # rate name in the first table → field in this table
    "input_audio_mtok": "input_cost_per_audio_token",
    "cache_audio_read_mtok": "cache_read_input_audio_token_cost",
    "output_audio_mtok": "output_cost_per_audio_token",
    "input_image_mtok": "input_cost_per_image_token",
    "output_image_mtok": "output_cost_per_image_token",
    "input_video_mtok": "input_cost_per_video_token",
    "input_mtok": "input_cost_per_token",
    "cache_read_mtok": "cache_read_input_token_cost",
    "output_mtok": "output_cost_per_token",
}
_COUNTED = {  # name of a counted unit's price → field, and the number that the price is for
    "web_searches_kcount": ("cost_per_search", 1000),
    "search_units_kcount": ("cost_per_rerank", 1000),
    "audio_hours": ("cost_per_audio_second", 3600),
}
_DATED = re.compile(r"-(\d{4}-\d\d-\d\d)")
_ABOVE = re.compile(r"_above_(\d+)(k?)_tokens")


@cache
def _document() -> dict[str, Any]:
    packed = files("costaudit.costing.prices").joinpath("litellm.json.zst").read_bytes()
    document: dict[str, Any] = json.loads(zstandard.ZstdDecompressor().decompress(packed))
    return document


def second_source() -> str:
    """Return the second table's name, version and download date."""
    document = _document()
    return f"{document['source']}, taken {document['taken']}"


def second_names(provider: str) -> tuple[str, ...]:
    """Return the second table's model names for a provider."""
    return tuple(_document()["prices"].get(provider, ()))


def second_models(provider: str, modes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of a provider's priced models of some modes, such as chat."""
    entries = _document()["prices"].get(provider, {})
    names = (name for name, entry in entries.items() if entry["mode"] in modes)
    return tuple(name for name in names if find_second(provider, name))


@cache
def find_second(provider: str, name: str) -> "SecondModel | None":
    """Return a provider's model by its exact name; None if the table has no price for it.

    A model whose input and output both cost 0 has no price: the table writes 0 for subscriptions
    and for missing prices. Only names that contain `free` are free.
    """
    entry = _document()["prices"].get(provider, {}).get(name.lower())
    if entry is None:
        return None
    model = SecondModel(provider, name.lower(), entry)
    price = model.price(STANDARD, date.max, 0, 0)
    is_free = "free" in name.lower()
    return model if price and (is_free or any(price.rates)) else None


@cache
def find_by_tail(provider: str, tail: str) -> "SecondModel | None":
    """Return the model whose name ends in `/tail`, if there is exactly one."""
    found = [name for name in second_names(provider) if name.rpartition("/")[2] == tail.lower()]
    return find_second(provider, found[0]) if len(found) == 1 else None


@cache
def find_for_units(provider: str, name: str) -> "SecondModel | None":
    """Return a provider's model by its exact name, also if its tokens have no price."""
    entry = _document()["prices"].get(provider, {}).get(name.lower())
    return SecondModel(provider, name.lower(), entry) if entry else None


def find_dated(provider: str, name: str, day: date) -> "tuple[SecondModel, ...]":
    """Return the dated versions that a name without a date can mean on a day.

    There are none on a day before the first one of them.
    """
    versions = [
        (date.fromisoformat(match[1]), each)
        for each in second_names(provider)
        if each.startswith(name.lower()) and (match := _DATED.fullmatch(each, len(name)))
    ]
    if not versions or min(versions)[0] > day:
        return ()
    found = (find_second(provider, each) for _, each in sorted(versions))
    return tuple(model for model in found if model)


class SecondModel:
    """One model of the second table: rates without dates, with bands and service tiers."""

    def __init__(self, provider: str, name: str, fields: dict[str, str]) -> None:
        self.provider = provider
        self.name = name
        self._fields = fields

    @property
    def source(self) -> str:
        """Return the name of the rates' source."""
        return second_source()

    def days(self) -> set[date]:
        """Return no days: the table has one price for all days."""
        return set()

    def seconds(self) -> set[int]:
        """Return no seconds: the table has one price for all hours."""
        return set()

    def bands(self) -> set[int]:
        """Return the numbers of input tokens above which the rates change."""
        return {_over(match) for field in self._fields for match in _ABOVE.finditer(field)}

    def price(self, variant: str, day: date, second: int, band: int) -> TablePrice | None:
        """Return the rates of a variant; None if the table has none."""
        base = self._rate("input_cost_per_token", variant, band)
        output = self._rate("output_cost_per_token", variant, band)
        if base is None or (output is None and variant != STANDARD):
            return None
        read = self._rate("cache_read_input_token_cost", variant, band)
        write = self._rate("cache_creation_input_token_cost", variant, band)
        long = self._rate("cache_creation_input_token_cost_above_1hr", variant, band)
        if long is None:
            long = self._rate("cache_creation_input_token_cost_above_12hr", variant, band)
        plain = write or base  # 0: writes are billed as input
        rates: Rates = (
            base,
            base if read is None else read,
            plain,
            plain if long is None else long,
            plain,
            output or Decimal(0),
        )
        note = "no cached rate: cache reads priced as input" if read is None else ""
        return TablePrice(rates, long is not None or not write, note, read is not None)

    def unit_rate(self, name: str, at: datetime) -> Decimal | None:
        """Return the standard price of a kind of unit, per million; None if there is none.

        Prices of searches and reranks are per thousand, those of audio per hour.
        """
        if name in _COUNTED:
            counted, number = _COUNTED[name]
            return Decimal(self._fields[counted]) * number if counted in self._fields else None
        field = _UNIT_FIELDS.get(name)
        return self._rate(field, STANDARD, 0) if field else None

    def _rate(self, name: str, variant: str, band: int) -> Decimal | None:
        """Return a rate of the highest band that starts at or below `band`, per million tokens."""
        suffix = _SUFFIX.get(variant, f"_{variant}")
        found: tuple[int, str] | None = None
        for field, value in self._fields.items():
            match = _ABOVE.search(field)
            over = _over(match) if match else 0
            plain = _ABOVE.sub("", field)
            if plain == name + suffix and over <= band and (found is None or over > found[0]):
                found = over, value
        return Decimal(found[1]) * _MILLION if found else None


def _over(match: "re.Match[str]") -> int:
    return int(match[1]) * (1000 if match[2] else 1)
