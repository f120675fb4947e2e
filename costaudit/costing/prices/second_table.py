"""The second price table: what LiteLLM says a model costs, under its exact name only."""

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
_UNIT_FIELDS = {  # the first table's name of a unit's rate → the field here
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
_ABOVE = re.compile(r"_above_(\d+)(k?)_tokens")


@cache
def _document() -> dict[str, Any]:
    packed = files("costaudit.costing.prices").joinpath("litellm.json.zst").read_bytes()
    document: dict[str, Any] = json.loads(zstandard.ZstdDecompressor().decompress(packed))
    return document


def second_source() -> str:
    """Name the second table, its version and the day on which it was taken."""
    document = _document()
    return f"{document['source']}, taken {document['taken']}"


def second_names(provider: str) -> tuple[str, ...]:
    """List the names that the second table has for a provider."""
    return tuple(_document()["prices"].get(provider, ()))


def second_models(provider: str, modes: tuple[str, ...]) -> tuple[str, ...]:
    """List the names of a provider's models that have a price and are of a kind, such as chat."""
    entries = _document()["prices"].get(provider, {})
    names = (name for name, entry in entries.items() if entry["mode"] in modes)
    return tuple(name for name in names if find_second(provider, name))


@cache
def find_second(provider: str, name: str) -> "SecondModel | None":
    """Look a provider's model up under its exact name; None where it has no price there.

    A model whose input and output both cost 0 has no price: that is how the table writes
    subscriptions and prices that nobody entered. Names that say `free` are free.
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
    """Look up a model by the part after the last slash, where only one name ends so."""
    found = [name for name in second_names(provider) if name.rpartition("/")[2] == tail.lower()]
    return find_second(provider, found[0]) if len(found) == 1 else None


class SecondModel:
    """One model as the second table knows it: undated rates, with bands and service tiers."""

    def __init__(self, provider: str, name: str, fields: dict[str, str]) -> None:
        self.provider = provider
        self.name = name
        self._fields = fields

    @property
    def source(self) -> str:
        """Name where the rates come from."""
        return second_source()

    def days(self) -> set[date]:
        """Return no days: the table has one price for all times."""
        return set()

    def seconds(self) -> set[int]:
        """Return no seconds: the table has one price for all hours."""
        return set()

    def bands(self) -> set[int]:
        """List the total input tokens above which its rates change."""
        return {_over(match) for field in self._fields for match in _ABOVE.finditer(field)}

    def price(self, variant: str, day: date, second: int, band: int) -> TablePrice | None:
        """Return the rates of a variant; None where the table has none for it."""
        base = self._rate("input_cost_per_token", variant, band)
        output = self._rate("output_cost_per_token", variant, band)
        if base is None or (output is None and variant != STANDARD):
            return None
        read = self._rate("cache_read_input_token_cost", variant, band)
        write = self._rate("cache_creation_input_token_cost", variant, band)
        long = self._rate("cache_creation_input_token_cost_above_1hr", variant, band)
        if long is None:
            long = self._rate("cache_creation_input_token_cost_above_12hr", variant, band)
        plain = write or base  # 0 means writes that are not billed apart
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
        """Return the standard price of a kind of unit, per million; None where it has none."""
        field = _UNIT_FIELDS.get(name)
        return self._rate(field, STANDARD, 0) if field else None

    def _rate(self, name: str, variant: str, band: int) -> Decimal | None:
        """Return a rate in the highest band that begins at or below `band`, per million tokens."""
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
