"""Settings of a request that are part of a provider's cached prefix, in canonical JSON."""

from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from costaudit.ingest.calls.bodies import Request
from costaudit.ingest.calls.call import NO_SETTINGS, Settings
from costaudit.ingest.calls.fields import present

DEFAULT_TTL = "5m"  # of a cache_control without a TTL


def settings_of(request: Request) -> Settings:
    """Return the settings of a request; missing settings are None."""
    given = (
        request.tool_choice,
        request.thinking,
        request.response_format,
        request.text,
        request.output_config,
        request.output_format,
        request.generation_config,
        request.prompt_cache_options,
        request.prompt_cache_retention,
        request.cached_content,
        request.cache_control,
    )
    if not any(given) and request.prompt_cache_key is None:
        return NO_SETTINGS
    return _settings(tuple(map(bytes, given)), request.prompt_cache_key)


@lru_cache(4096)
def _settings(given: tuple[bytes, ...], key: str | None) -> Settings:
    choice, thinking, chat, text, config, form, generation, options, retention, cached, auto = map(
        _decoded, given
    )
    generation = generation if isinstance(generation, dict) else {}
    return Settings(
        tool_choice=_canonical(choice),
        thinking=_canonical(thinking or generation.get("thinkingConfig")),
        response_format=_canonical(chat or _format(text, config) or form or _schema(generation)),
        cache_options=_canonical(_cache_options(options, retention, cached)),
        cache_key=key,
        auto_cache_ttl=lifetime_of(auto),
    )


def lifetime_of(control: object) -> str | None:
    """Return the TTL that a `cache_control` object requests; None if it is not such an object."""
    if not isinstance(control, dict):
        return None
    ttl = control.get("ttl")
    return ttl if isinstance(ttl, str) and ttl else DEFAULT_TTL


def _decoded(text: bytes) -> Any:
    if not present(Raw(text)):
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _canonical(value: Any) -> str | None:
    """Return JSON with sorted keys; None if there is nothing to write."""
    if value is None or value == {}:
        return None
    return msgspec.json.encode(value, order="deterministic").decode()


def _format(*holders: Any) -> Any:
    """Find the format of the answer in `text` or `output_config`."""
    found = (holder.get("format") for holder in holders if isinstance(holder, dict))
    return next((each for each in found if each), None)


def _schema(generation: dict[str, Any]) -> Any:
    names = ("responseMimeType", "responseSchema", "responseJsonSchema")
    return {name: generation[name] for name in names if name in generation}


def _cache_options(options: Any, retention: Any, cached: Any) -> Any:
    given: dict[str, Any] = dict(options) if isinstance(options, dict) else {}
    if retention is not None:
        given["retention"] = retention
    if cached is not None:
        given["cached_content"] = cached
    return given
