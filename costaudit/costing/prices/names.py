"""The names of a model: those under which a price may be listed, and that of its family.

Whether two records are one call is decided by `ingest/assembly/identity.py`, which takes only paths
and dates off: records of two versions are two calls, though they may have one price.
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
        (r"\[\d+[mk]\]$", ""),  # the long context of a client's own naming
        (r"@(\d{8})$", r"-\1"),
        (r"@[\w.-]+$", ""),
        (r":(thinking|nitro|floor|extended|exacto|beta|latest)$", ""),
        (r"^ft:([^:]+):.*$", r"ft:\1"),
        (r"^(?!ft:)([^:]+?)\.ft-[\w-]+(:.*)?$", r"ft:\1"),
        (r"^ft:(.+)-\d{4}-\d{2}-\d{2}$", r"ft:\1"),
        (r"(:\d+):\w+$", r"\1"),  # a throughput's context, such as :0:200k
        (r":\d+$", ""),
        (r"-v\d+$", ""),
        (rf"^(?:{_PLACE})/", ""),
        (r"^(?!ft:)(.+)-(\d{8}|\d{4}-\d{2}-\d{2})$", r"\1"),  # a snapshot that no table lists
    )
)


@dataclass(frozen=True)
class Spelling:
    """One name to look up, and what a price under it is multiplied by."""

    name: str
    is_placed: bool = False  # the name says where it runs, as only the second table's names do
    times: Decimal = _ONE
    note: str = ""


def head_provider(model: str) -> tuple[str | None, str]:
    """Split `provider/model` into the provider as the tables spell it, and the rest."""
    match = _HEAD.match(model.lower())
    return (PROVIDERS[match[1]], model[match.end() :]) if match else (None, model)


def spellings(provider: str, model: str, region: str | None = None) -> Iterator[Spelling]:
    """Yield a model's name as logged, then ever less of it, each once and in lower case.

    Paths of proxies and platforms, resource names, versions, routing suffixes and fine-tuned
    owners are taken off. At AWS the region and the inference profile are tried first.
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
    """Return whether only the second table's exact name can price this: it says where it runs."""
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
    """Return a model's name without who serves it, its date and its version.

    Two names of one family may have different prices, so no price is looked up by it: a bill and
    a log are compared by it where they name one model differently.
    """
    name = re.sub(r"[.:_ ]", "-", _SERVED_BY.sub("", model.lower()))
    while (shorter := _VERSION.sub("", name)) != name:
        name = shorter
    return name
