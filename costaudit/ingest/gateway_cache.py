"""How gateways say that they answered from their own cache."""

import msgspec
from msgspec import Raw

HIT_HEADERS = (
    "x-litellm-cache-hit",
    "cf-aig-cache-status",
    "x-portkey-cache-status",
    "helicone-cache",
    "x-cache",
)


def is_hit(flag: object) -> bool:
    """Read a gateway's cache flag, whether it is a truth value or a word."""
    if isinstance(flag, str):
        word = flag.strip().lower().replace(" ", "_")
        return word in (
            "hit",
            "true",
            "semantic_hit",
            "simple_hit",
            "cache_hit",
            "cache_semantic_hit",
        )
    return flag is True


def hit_in_headers(headers: Raw) -> bool:
    """Look for a gateway's cache flag among response headers."""
    try:
        values = msgspec.json.decode(headers)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    if not isinstance(values, dict):
        return False
    return any(is_hit(value) for key, value in values.items() if str(key).lower() in HIT_HEADERS)
