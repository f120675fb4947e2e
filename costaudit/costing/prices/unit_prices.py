"""Price a call's billed units other than text tokens: searches, media, other models, fees."""

from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import polars as pl

from costaudit.contracts.grades import Pricing
from costaudit.contracts.run_dir import column
from costaudit.costing.prices.models import Listed, find_model, find_unit_tables
from costaudit.costing.prices.overlay import Overlay, shipped_overlay
from costaudit.costing.prices.rate_card import PriceKey, rate_card
from costaudit.costing.prices.second_table import find_dated
from costaudit.providers.names import provider_named

USD = pl.Decimal(38, 15)
_DIGITS = 12  # decimal places of dollars to which a call's unit cost is rounded
_KEY = [field.name for field in fields(PriceKey) if field.name != "write_ttl"]
_MEDIA = {  # unit → (token class that includes it, its rate in the table, the rate of text)
    "audio_input_token": ("input_uncached_tokens", "input_audio_mtok", "input_mtok"),
    "audio_cached_token": ("cache_read_tokens", "cache_audio_read_mtok", "cache_read_mtok"),
    "audio_output_token": ("output_tokens", "output_audio_mtok", "output_mtok"),
    "image_input_token": ("input_uncached_tokens", "input_image_mtok", "input_mtok"),
    "image_output_token": ("output_tokens", "output_image_mtok", "output_mtok"),
    "video_input_token": ("input_uncached_tokens", "input_video_mtok", "input_mtok"),
}
_LIKE_TEXT = ("image_input_token", "video_input_token")  # no listed rate: as text
_RATE_OF_CLASS = {
    "input_uncached_tokens": "input_per_mtok",
    "cache_read_tokens": "cache_read_per_mtok",
    "output_tokens": "output_per_mtok",
}
_COUNTED = {  # unit → its rates in the tables, and how many units a rate is for
    "web_search": (("web_searches_kcount",), 1000),
    "grounding_query": (("web_searches_kcount",), 1000),
    "file_search": (("storage_searches_kcount",), 1000),
    "search_unit": (("search_units_kcount",), 1000),
    "audio_second": (("input_audio_hours", "audio_hours"), 3600),
}
_OTHER_MODEL = {  # unit → index in the rates of a card
    "other_model_input_token": 0,
    "other_model_read_token": 1,
    "other_model_write_token": 2,
    "other_model_output_token": 5,
}
_FEES = ("gateway_fee_usd", "upstream_cost_usd")
_MILLION = Decimal(1_000_000)


@dataclass(frozen=True)
class _UnitRate:
    """The price of one unit, on top of what its tokens cost as text."""

    usd: Decimal | None = None  # flat, per unit
    of_text: Decimal | None = None  # extra cost, as a multiple of the price of text
    per_call: bool = False  # the price is for the call, not for each unit


def with_units(pricing: Pricing, requests: pl.DataFrame, user: Overlay | None) -> Pricing:
    """Return the pricing with the cost of each request's billed units.

    The cost is null, and the request not fully priced, if a unit has no known price or its count
    can't be read.
    """
    if "billed_units" not in requests.columns or column(requests, "billed_units").is_null().all():
        return pricing
    units = _priced(_exploded(requests, pricing), user)
    missing = pl.col("usd").is_null().any()
    sums = units.group_by("row").agg(
        usd=pl.when(~missing).then(pl.col("usd").sum().round(_DIGITS)).cast(USD), has=pl.lit(1)
    )
    rows = pl.DataFrame({"row": pl.int_range(len(requests), eager=True)})
    joined = rows.join(sums, on="row", how="left", maintain_order="left")
    usd = joined.select(
        pl.when(pl.col("has").is_null()).then(pl.lit(0, USD)).otherwise("usd").alias("unit_usd")
    ).to_series()
    unknown = pl.col("usd").is_null() & pl.col("quantity").is_not_null()
    names = units.filter(unknown)["unit"].unique().sort().to_list()
    return replace(pricing, unit_usd=usd, unpriced_units=tuple(names))


def _exploded(requests: pl.DataFrame, pricing: Pricing) -> pl.DataFrame:
    """Return a row per request and unit with all that decides its price, in the requests' order."""
    rates = pricing.rates.select("rate_id", *_RATE_OF_CLASS.values())
    return (
        requests.select(
            *_KEY, *_RATE_OF_CLASS, "billed_units", day=pl.col("ts").dt.date(),
        )
        .with_columns(rate_id=pricing.rate_ids)
        .with_row_index("row")
        .with_columns(pl.col("row").cast(pl.Int64))
        .filter(pl.col("billed_units").list.len() > 0)
        .explode("billed_units")
        .with_columns(
            unit=pl.col("billed_units").struct.field("unit"),
            quantity=pl.col("billed_units").struct.field("quantity"),
            other=pl.col("billed_units").struct.field("model"),
        )
        .drop("billed_units")
        .join(rates, on="rate_id", how="left", maintain_order="left")
    )  # fmt: skip


def _priced(units: pl.DataFrame, user: Overlay | None) -> pl.DataFrame:
    combination = [*_KEY, "day", "unit", "other"]
    found = units.select(combination).unique(maintain_order=True)
    rows = [_rate_row(row, user) for row in found.iter_rows(named=True)]
    schema = {"flat": pl.Float64, "of_text": pl.Float64, "per_call": pl.Boolean}
    priced = found.with_columns(pl.DataFrame(rows, schema=schema, orient="row"))
    joined = units.join(priced, on=combination, how="left", nulls_equal=True, maintain_order="left")
    quantity = pl.when("per_call").then(pl.min_horizontal("quantity", 1.0)).otherwise("quantity")
    usd = quantity * pl.col("flat")
    is_cached = pl.col("unit") == "audio_cached_token"  # audio input includes it
    cached = pl.col("quantity").filter(is_cached).sum().over("row")
    for unit, (of_class, _, _) in _MEDIA.items():
        own = pl.col("quantity") - (cached if unit == "audio_input_token" else 0)
        tokens = pl.min_horizontal(own.clip(0), pl.col(of_class).fill_null(0))
        rate = pl.col(_RATE_OF_CLASS[of_class]).cast(pl.Float64)
        extra = tokens * rate * pl.col("of_text") / 1e6
        usd = (
            pl.when((pl.col("unit") == unit) & pl.col("flat").is_null()).then(extra).otherwise(usd)
        )
    is_known = pl.col("quantity").is_not_null()
    return joined.with_columns(
        usd=pl.when(pl.col("quantity") == 0).then(0.0).when(is_known).then(usd)
    )


def _rate_row(row: dict[str, Any], user: Overlay | None) -> tuple[float | None, float | None, bool]:
    key = PriceKey(*(row[name] for name in _KEY))
    day = row["day"] or shipped_overlay().checked or date.max
    rate = unit_rate(key, row["unit"], row["other"], day, user)
    if rate is None:
        return None, None, False
    flat, times = (None if one is None else float(one) for one in (rate.usd, rate.of_text))
    return flat, times, rate.per_call


def unit_rate(
    key: PriceKey, unit: str, other: str | None, day: date, user: Overlay | None
) -> _UnitRate | None:
    """Return the price of one unit on a day; None if it is unknown.

    The user's price comes first, then the table's that prices the model, then the shipped
    overlay's, then that of either table for units alone, or for all dated versions of the model.
    """
    if unit in _FEES:
        return _UnitRate(usd=Decimal(1))
    if unit in _OTHER_MODEL:
        return _other_model(key, unit, other, day, user)
    given = _stated(key, unit, day, user) if user else None
    found = (
        given
        or _listed(key, unit, day, user)
        or _stated(key, unit, day, shipped_overlay())
        or _alone(key, unit, day, user)
    )
    is_listed = unit in _LIKE_TEXT and key.model and find_model(key.provider, key.model, key.region)
    return found or (_UnitRate(of_text=Decimal(0)) if is_listed else None)


def _stated(key: PriceKey, unit: str, day: date, overlay: Overlay) -> _UnitRate | None:
    for entry in overlay.unit:
        if entry.unit == unit and entry.covers(key.provider or "", key.model or "", day):
            return _UnitRate(usd=entry.usd / entry.per)
    return None


def _listed(key: PriceKey, unit: str, day: date, user: Overlay | None) -> _UnitRate | None:
    found = find_model(key.provider, key.model, key.region) if key.model else None
    tables = (found.model, found.other) if found else ()
    rates = (_in_table(table, key, unit, day, user) for table in tables if table)
    return next((rate for rate in rates if rate), None)


def _alone(key: PriceKey, unit: str, day: date, user: Overlay | None) -> _UnitRate | None:
    if not key.provider or not key.model:
        return None
    tables = find_unit_tables(key.provider, key.model, key.region)
    rates = [_in_table(table, key, unit, day, user) for table in tables]
    dated = [
        _in_table(version, key, unit, day, user)
        for version in find_dated(provider_named(key.provider), key.model, day)
    ]
    if dated and all(rate == dated[0] for rate in dated):
        rates.append(dated[0])
    return next((rate for rate in rates if rate), None)


def _in_table(
    table: Listed, key: PriceKey, unit: str, day: date, user: Overlay | None
) -> _UnitRate | None:
    at = datetime.combine(day, time(12), UTC)
    if unit in _COUNTED:
        names, number = _COUNTED[unit]
        prices = (table.unit_rate(name, at) for name in names)
        price = next((each for each in prices if each is not None), None)
        if price is None:
            return None
        by_prompt = unit == "grounding_query" and table.name.startswith(("gemini-1", "gemini-2"))
        return _UnitRate(usd=price / number * _discount(key, day, user), per_call=by_prompt)
    return _media(table, unit, at) if unit in _MEDIA else None


def _media(table: Listed, unit: str, at: datetime) -> _UnitRate | None:
    _, name, of_text = _MEDIA[unit]
    own, text = table.unit_rate(name, at), table.unit_rate(of_text, at)
    if own is None or not text:
        return None
    return _UnitRate(of_text=own / text - 1)


def _other_model(
    key: PriceKey, unit: str, other: str | None, day: date, user: Overlay | None
) -> _UnitRate | None:
    provider, _, tier, is_batch, region, _ = astuple(key)
    card = rate_card(PriceKey(provider, other, tier, is_batch, region), user) if other else None
    cell = card.cells[card.number(day, 43_200, 1)] if card else None
    return _UnitRate(usd=cell.rates[_OTHER_MODEL[unit]] / _MILLION) if cell else None


def _discount(key: PriceKey, day: date, user: Overlay | None) -> Decimal:
    for entry in user.discount if user else ():
        if entry.covers(key.provider or "", key.model or "", day):
            return entry.multiplier
    return Decimal(1)
