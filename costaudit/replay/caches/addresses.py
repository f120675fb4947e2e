"""Which address leads to which cache: the table of this stage's caches."""

from collections.abc import Callable
from urllib.parse import urlsplit

from costaudit.errors import UsageError
from costaudit.replay.address import parse_address
from costaudit.replay.cache import LiveCache
from costaudit.replay.upstreams.addresses import call_settings


def _memory(text: str) -> LiveCache:
    from costaudit.replay.caches.memory import MemoryCache

    parse_address(text, ())
    return MemoryCache()


def _redis(text: str) -> LiveCache:
    from costaudit.replay.caches.redis_server import OPTIONS

    address = parse_address(text, OPTIONS)
    if address.option("flavour", ("redisvl", "vectorset"), "redisvl") == "redisvl":
        from costaudit.replay.caches.redisvl import RedisVLCache

        return RedisVLCache(address)
    from costaudit.replay.caches.vector_sets import VectorSetCache

    return VectorSetCache(address)


def _proxy(text: str) -> LiveCache:
    from costaudit.replay.caches.proxy import OPTIONS, ProxyCache

    address = parse_address(text, OPTIONS)
    return ProxyCache(address, call_settings(address))


CACHES: dict[str, Callable[[str], LiveCache]] = {
    "memory": _memory,
    "redis": _redis,
    "rediss": _redis,
    "unix": _redis,
    "http": _proxy,
    "https": _proxy,
}  # scheme → maker


def cache_at(text: str) -> LiveCache:
    """Make the cache that an address names; raises UsageError for one that is not known."""
    maker = CACHES.get(urlsplit(text).scheme)
    if maker is None:
        raise UsageError(
            "The cache's address has an unknown scheme.",
            hint=f"Give one of {', '.join(f'{scheme}://' for scheme in CACHES)}.",
        )
    return maker(text)
