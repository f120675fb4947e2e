"""The default rules of cache products, by version, from a dated table with sources."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from costaudit.errors import UsageError


@dataclass(frozen=True)
class Preset:
    """The rules of one product, as options of the command line."""

    name: str
    product: str
    version: str
    key: str
    scope: tuple[str, ...]
    run: Literal["live", "docs"]  # replayed in a test, or only from documentation
    source: str
    threshold: float | None = None  # cosine; > 1: identical text only; None: must be set
    ttl: str = ""  # "": the user must set it, or none
    ttl_kind: str = "fixed"
    max_entries: int | None = None
    eviction: str = "lru"
    no_bypass: tuple[str, ...] = ()
    scope_after: tuple[str, ...] = ()


@cache
def presets() -> dict[str, Preset]:
    """Return the presets by name."""
    text = files("costaudit.replay.caches").joinpath("presets.toml").read_text("utf-8")
    found = {}
    for name, row in tomllib.loads(text).items():
        threshold = row.pop("threshold", None)
        found[name] = Preset(
            name,
            **{
                **row,
                "scope": tuple(row["scope"]),
                "no_bypass": tuple(row.get("no_bypass", ())),
                "scope_after": tuple(row.get("scope_after", ())),
                "threshold": 1.01 if threshold == "exact" else threshold,
            },
        )
    return found


def preset_named(name: str) -> Preset:
    """Return a product's rules; raises UsageError for an unknown product."""
    known = presets()
    if name not in known:
        raise UsageError(f"There is no preset {name!r}.", hint=f"Choose from {', '.join(known)}.")
    return known[name]
