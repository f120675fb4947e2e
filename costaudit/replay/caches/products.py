"""What is known of each caching proxy: the table in products.toml, as nouns."""

import tomllib
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from costaudit.errors import UsageError


@dataclass(frozen=True)
class Product:
    """How one caching proxy is spoken to."""

    name: str
    hit_header: str = ""  # response header that tells
    hit_values: tuple[str, ...] = ()  # in lower case; empty: the header is there on hits only
    hit_field: str = ""  # dotted path of a boolean in the response's body
    similarity_header: str = ""
    similarity_field: str = ""
    ids_repeat: bool = False  # a served answer has the id that it had when it was new
    headers: dict[str, str] = field(default_factory=dict)  # sent with each request
    body: dict[str, Any] = field(default_factory=dict)
    ttl_headers: dict[str, str] = field(default_factory=dict)  # sent where there is a TTL
    ttl_body: dict[str, Any] = field(default_factory=dict)

    @property
    def takes_ttl(self) -> bool:
        """Tell whether a request can set its answer's TTL."""
        return bool(self.ttl_headers or self.ttl_body)

    @property
    def scopes(self) -> bool:
        """Tell whether a request can name a namespace of its own."""
        return "{scope}" in str((self.headers, self.body))

    @property
    def own_rules(self) -> tuple[str, ...]:
        """Name what a request can't set, so that the product's own configuration decides it."""
        rules = {"how similar is near enough": "{min_similarity}", "which scopes share": "{scope}"}
        told = str((self.headers, self.body))
        return tuple(rule for rule, place in rules.items() if place not in told)

    def is_hit(self, headers: dict[str, str], body: dict[str, Any]) -> bool | None:
        """Read whether the cache answered; None where only ids can tell."""
        if self.hit_field:
            return bool(_at(body, self.hit_field))
        if not self.hit_header:
            return None
        value = headers.get(self.hit_header)
        if value is None or not self.hit_values:
            return value is not None or (None if self.ids_repeat else False)
        return value.strip().lower() in self.hit_values

    def similarity(self, headers: dict[str, str], body: dict[str, Any]) -> float | None:
        """Read how similar the served question was; None where the proxy does not say."""
        value = headers.get(self.similarity_header) or _at(body, self.similarity_field)
        try:
            return None if value is None else float(value)
        except (TypeError, ValueError):
            return None


def products() -> dict[str, Product]:
    """Read the table of known proxies."""
    text = files("costaudit.replay.caches").joinpath("products.toml").read_text("utf-8")
    rows = tomllib.loads(text)
    return {
        name: Product(name, **{**row, "hit_values": tuple(row.get("hit_values", ()))})
        for name, row in rows.items()
    }


def product_named(name: str) -> Product:
    """Find a proxy by name; raises UsageError for one that is not known."""
    known = products()
    if name not in known:
        raise UsageError(
            f"The proxy {name!r} is not known.", hint=f"Give product={'|'.join(known)}."
        )
    return known[name]


def filled(template: Any, values: dict[str, str]) -> Any:
    """Put values into the braces of a template; {ttl_s} alone becomes a number."""
    if isinstance(template, dict):
        return {name: filled(part, values) for name, part in template.items()}
    if template == "{ttl_s}":
        return int(values["ttl_s"])
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", value)
    return template


def _at(body: dict[str, Any], path: str) -> Any:
    value: Any = body
    for name in path.split(".") if path else ():
        value = value.get(name) if isinstance(value, dict) else None
    return value if path else None
