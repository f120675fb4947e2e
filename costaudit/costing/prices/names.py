"""The names under which a model's price may be listed, and the name of its family.

`ingest/assembly/identity.py` decides whether two records are one call, and removes only paths and
dates: records of two versions are two calls, even if they have one price.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from costaudit.providers.names import PROVIDERS

_ONE = Decimal(1)
_PROFILE = re.compile(r"^(us-gov|global|apac|us|eu|jp|au|ca|[a-z]{2})\.(?=[a-z0-9]+\.[a-z])")
_GOV = Decimal("1.2")
_PLACE = r"us-gov|global|us|eu|apac|au|jp|global-standard|data-?zone|(?:[a-z]{2}(?:-[a-z]+)+-\d)"
_WORDS = r"models|publishers/[^/]+/models|projects/.+/models|converse|invoke|async_invoke|chat"
_HEADS = "|".join(re.escape(name) for name in sorted(PROVIDERS, key=len, reverse=True))
_HEAD = re.compile(rf"^({_HEADS})/")
_REWRITES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^arn:[^/]*/", ""),
        (rf"^(?:{_HEADS}|{_WORDS})/", ""),
        (r"\[\d+[mk]\]$", ""),  # a client's own suffix for a long context
        (r"@(\d{8})$", r"-\1"),
        (r"@[\w.-]+$", ""),
        (r":(thinking|nitro|floor|extended|exacto|beta|latest)$", ""),
        (r"^ft:([^:]+):.*$", r"ft:\1"),
        (r"^(?!ft:)([^:]+?)\.ft-[\w-]+(:.*)?$", r"ft:\1"),
        (r"^ft:(.+)-\d{4}-\d{2}-\d{2}$", r"ft:\1"),
        (r"(:\d+):\w+$", r"\1"),  # the context of a provisioned throughput, such as :0:200k
        (r":\d+$", ""),
        (r"-v\d+$", ""),
        (rf"^(?:{_PLACE})/", ""),
        (r"^(?!ft:)(.+)-(\d{8}|\d{4}-\d{2}-\d{2})$", r"\1"),  # a snapshot date
    )
)


@dataclass(frozen=True)
class Spelling:
    """One name to look up, and the factor for a price found under it."""

    name: str
    is_placed: bool = False  # the name includes a region; only the second table has these
    times: Decimal = _ONE
    note: str = ""


def head_provider(model: str) -> tuple[str | None, str]:
    """Return the provider (as the tables spell it) and the rest of `provider/model`."""
    match = _HEAD.match(model.lower())
    return (PROVIDERS[match[1]], model[match.end() :]) if match else (None, model)


def spellings(provider: str, model: str, region: str | None = None) -> Iterator[Spelling]:
    """Yield a model's name as logged, then shorter forms of it, each once and in lower case.

    The shorter forms lack paths of proxies and platforms, resource names, versions, routing
    suffixes and owners of fine-tuned models. For AWS, names with the region and the inference
    profile come first.
    """
    whole = model.strip().lower()
    waiting, seen = [Spelling(whole, is_placed=_is_placed(provider, whole))], {whole}
    if provider == "aws" and region and not _PROFILE.match(_bare(whole)):
        waiting.insert(0, Spelling(f"{region.lower()}/{_bare(whole)}", is_placed=True))
    while waiting:
        spelling = waiting.pop(0)
        yield spelling
        for shorter in _shorter(provider, spelling):
            if shorter.name and shorter.name not in seen:
                seen.add(shorter.name)
                waiting.append(shorter)


def _is_placed(provider: str, name: str) -> bool:
    """Return whether a name includes a region, so that only the second table can price it."""
    return provider in ("aws", "azure") and ("/" in name or name.startswith("us-gov."))


def _bare(name: str) -> str:
    return re.sub(rf"^(?:arn:[^/]*/|(?:{_HEADS}|{_WORDS})/)+", "", name)


def _shorter(provider: str, spelling: Spelling) -> Iterator[Spelling]:
    name, times, note = spelling.name, spelling.times, spelling.note
    profile = _PROFILE.match(name) if provider == "aws" else None
    if profile and profile[1] == "us-gov":
        told = "AWS GovCloud: 1.2 times the global price (LiteLLM)"
        yield Spelling(f"global.{name[profile.end() :]}", False, times * _GOV, told)
        return
    elif profile:
        yield Spelling(name[profile.end() :], False, times, note)
    if provider == "openrouter" and name.endswith(":free"):
        yield Spelling(name.removesuffix(":free"), False, Decimal(0), "OpenRouter: a free variant")
        return
    for pattern, replacement in _REWRITES:
        shorter = pattern.sub(replacement, name)
        if shorter != name:
            yield Spelling(shorter, _is_placed(provider, shorter), times, note)


_SERVED_BY = re.compile(
    r"^(?:[\w.-]+/)+|^(?:(?:us|eu|apac|global|jp|au)\.)?"
    r"(?:anthropic|amazon|meta|mistral|cohere|openai)\."
)
_VERSION = re.compile(
    r"(?:-v\d+(?:-\d+)?|-20\d{6}|-20\d\d-\d\d-\d\d|-(?:0[1-9]|1[0-2])\d\d|-latest)$"
)


def family(model: str) -> str:
    """Return a model's name without its platform, date and version.

    Two names of one family may have different prices, so it is not used to look up prices. It is
    used to compare a bill with a log that names the same model differently.
    """
    name = re.sub(r"[.:_ ]", "-", _SERVED_BY.sub("", model.lower()))
    while (shorter := _VERSION.sub("", name)) != name:
        name = shorter
    return name
