"""Write the second price table that costaudit ships, from an installed wheel of LiteLLM.

    pip download --no-deps litellm
    python -m benchmarks.second_price_table litellm-1.110.2-*.whl 2026-11-28

The second argument is the day of the download. Only price fields are kept, by provider and name.
"""

import json
import re
import sys
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import zstandard

from costaudit.providers.names import provider_named

MEMBER = "litellm/model_prices_and_context_window_backup.json"
KEPT = re.compile(
    r"^(input|output|cache_read_input|cache_creation_input)(_cost_per)?"
    r"(_audio|_image|_video|_reasoning)?_token(_cost)?(_above_\w+)?"
    r"(_(batches|flex|priority|ultrafast))?$"
)
UNITS = ("cost_per_search", "cost_per_rerank", "cost_per_audio_second")  # as written here
SIZES = ("low", "medium", "high")  # how much of what a search finds is read
SECTIONS = re.compile(r"^(vertex_ai)-.*|^(bedrock).*|^(text-completion-openai|chatgpt)$")
SKIPPED = ("sample_spec",)
TARGET = Path(__file__).parents[1] / "costaudit/costing/prices/litellm.json.zst"


def table_of(wheel: Path) -> dict[str, dict[str, dict[str, str]]]:
    """Return provider → name → field → US dollars per token, as decimals."""
    with zipfile.ZipFile(wheel) as archive:
        document = json.loads(archive.read(MEMBER), parse_float=Decimal)
    table: dict[str, dict[str, dict[str, str]]] = {}
    for name, entry in document.items():
        section = str(entry.get("litellm_provider", ""))
        fields = {**tiers(entry), **entry, **counted(entry)}
        prices = {
            key: plain(value) for key, value in fields.items() if KEPT.match(key) or key in UNITS
        }
        if name in SKIPPED or not section or not prices:
            continue
        provider = provider_of(section)
        bare = without_head(name, section, provider)
        mine = table.setdefault(provider, {})
        if section.startswith("vertex_ai") and bare in mine:
            continue  # Google's own API is listed first and is used for both
        mine[bare] = {**prices, "mode": str(entry.get("mode", ""))}
    return table


def tiers(entry: dict[str, Any]) -> dict[str, Any]:
    """Return tiers by total input, given as a list, as the fields that other entries use."""
    fields: dict[str, Any] = {}
    for tier in entry.get("tiered_pricing") or ():
        over = int(tier.get("range", (0,))[0])
        for key, value in tier.items():
            if key != "range":
                fields[f"{key}_above_{over}_tokens" if over else key] = value
    return fields


def counted(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the prices of a search, a rerank and a second of audio, where they are certain.

    A search is left out if its price depends on its size, and a second where tokens are billed.
    """
    sizes = entry.get("search_context_cost_per_query") or {}
    every = {sizes.get(f"search_context_size_{size}") for size in SIZES}
    found = {}
    if len(every) == 1 and (price := every.pop()):
        found["cost_per_search"] = price
    if entry.get("mode") == "rerank" and entry.get("input_cost_per_query"):
        found["cost_per_rerank"] = entry["input_cost_per_query"]
    heard = entry.get("mode") == "audio_transcription" and not entry.get("input_cost_per_token")
    if heard and entry.get("input_cost_per_second"):
        found["cost_per_audio_second"] = entry["input_cost_per_second"]
    return found


def provider_of(section: str) -> str:
    """Return the provider's name, as the log readers spell it, for a section of LiteLLM's."""
    match = SECTIONS.match(section)
    head = next((group for group in match.groups() if group), section) if match else section
    return provider_named(head)


def without_head(name: str, section: str, provider: str) -> str:
    """Return a name without the prefixes that only name the platform."""
    bare = name.lower()
    while "/" in bare:
        head, _, tail = bare.partition("/")
        if head == section or provider_named(head) == provider:
            bare = tail
        else:
            break
    return bare


def plain(value: Any) -> str:
    """Return dollars per token as a plain decimal, without binary rounding noise."""
    return format(Decimal(f"{Decimal(str(value)):.12g}").normalize(), "f")


def main() -> None:
    wheel, day = Path(sys.argv[1]), sys.argv[2]
    version = wheel.name.split("-")[1]
    table = table_of(wheel)
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith("dist-info/licenses/LICENSE"))
        notice = archive.read(name).decode()
    document = {
        "source": f"litellm {version}",
        "taken": day,
        "license": notice,
        "prices": table,
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    TARGET.write_bytes(zstandard.ZstdCompressor(level=19).compress(text))
    models = sum(map(len, table.values()))
    print(f"{TARGET.name}: {models:,} models, {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
