"""http(s)://HOST/v1?product=NAME: a caching proxy with OpenAI's API."""

import socket
import time
import tomllib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import msgspec

from costaudit.errors import BackendError, UsageError
from costaudit.providers.address import Address
from costaudit.providers.call import CallError, CallSettings, Completion, Prompt
from costaudit.providers.openai import OpenAIClient
from costaudit.replay.cache import CacheSettings, CacheTraits, Entry, Lookup, Match, Query
from costaudit.replay.recorded_server import RecordedServer
from costaudit.replay.stream import text_digest


@dataclass(frozen=True)
class Product:
    """How to use one caching proxy."""

    name: str
    hit_header: str = ""  # response header that shows a hit
    hit_values: tuple[str, ...] = ()  # in lower case; empty: only hits have the header
    hit_field: str = ""  # dotted path of a boolean in the response's body
    similarity_header: str = ""
    similarity_field: str = ""
    ids_repeat: bool = False  # a served answer has its original id
    headers: dict[str, str] = field(default_factory=dict)  # sent if the run is isolated
    body: dict[str, Any] = field(default_factory=dict)
    ttl_headers: dict[str, str] = field(default_factory=dict)  # the same, if there is a TTL
    ttl_body: dict[str, Any] = field(default_factory=dict)

    @property
    def scopes(self) -> bool:
        """Return whether a request can have its own namespace."""
        return "{scope}" in str((self.headers, self.body))

    @property
    def own_rules(self) -> tuple[str, ...]:
        """Return what the product's configuration decides, because a replay does not send it."""
        return ("how similar is near enough", "which scopes share", "how long an entry lives")

    def is_hit(self, headers: dict[str, str], body: dict[str, Any]) -> bool | None:
        """Return whether the cache answered; None if only ids can show it."""
        if self.hit_field:
            return bool(_at(body, self.hit_field))
        if not self.hit_header:
            return None
        value = headers.get(self.hit_header)
        if value is None or not self.hit_values:
            return value is not None or (None if self.ids_repeat else False)
        return value.strip().lower() in self.hit_values

    def similarity(self, headers: dict[str, str], body: dict[str, Any]) -> float | None:
        """Return the similarity of the served question; None if the proxy does not report it."""
        value = headers.get(self.similarity_header) or _at(body, self.similarity_field)
        try:
            return None if value is None else float(value)
        except (TypeError, ValueError):
            return None


def products() -> dict[str, Product]:
    """Return the known proxies by name."""
    text = files("costaudit.replay.caches").joinpath("products.toml").read_text("utf-8")
    rows = tomllib.loads(text)
    return {
        name: Product(name, **{**row, "hit_values": tuple(row.get("hit_values", ()))})
        for name, row in rows.items()
    }


def product_named(name: str) -> Product:
    """Return a proxy by name; raises UsageError for an unknown one."""
    known = products()
    if name not in known:
        raise UsageError(
            f"The proxy {name!r} is not known.", hint=f"Give product={'|'.join(known)}."
        )
    return known[name]


def filled(template: Any, values: dict[str, str]) -> Any:
    """Return a template with its braces filled in; {ttl_s} alone becomes a number."""
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


def reach_proxy(address: Address, timeout_s: float) -> None:
    """Connect once, and close; raises BackendError if nothing listens."""
    parts = urlsplit(address.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout_s).close()
    except OSError as error:
        raise BackendError(
            f"Can't reach the proxy at {address.printable}: {error.strerror or error}.",
            hint="Start it, or correct the URL.",
        ) from None


OPTIONS = ("product", "model", "stream", "timeout_s", "retries", "key_env")


class ProxyCache:
    """A proxy that looks up, calls models and stores answers itself; only it can remove them."""

    def __init__(
        self, address: Address, calls: CallSettings, headers: Mapping[str, str] | None = None
    ) -> None:
        self._address = address
        self._calls = calls
        self._headers = dict(headers or {})  # the user's, as in production
        self.recorded: RecordedServer | None = None  # answers misses with the log's answers
        self._stored = 0
        self._product = product_named(address.options.get("product", "generic"))
        self.traits = CacheTraits(
            address.printable,
            own_vectors=True,
            asks_models=True,
            own_rules=self._product.own_rules,
        )

    def reach(self) -> tuple[str, ...]:
        """Connect once, and close."""
        reach_proxy(self._address, self._calls.timeout_s)
        return ()

    def open(self, settings: CacheSettings) -> None:
        """Connect to the proxy; unless isolated, it gets only what production would send."""
        _check(self._product, settings)
        self._settings = settings
        self._prompts: Sequence[Prompt] = settings.prompts or ()
        self._askers: dict[str, Query] = {}  # id or text of an answer → first query that got it
        self._client = OpenAIClient(self._calls)
        self.reach()
        self._pool = ThreadPoolExecutor(settings.concurrency, "proxy")

    def lookup(self, queries: Sequence[Query]) -> list[Lookup]:
        """Send the requests simultaneously; a proxy looks up and answers in one call."""
        if len(queries) == 1:
            return [self._ask(queries[0])]
        return list(self._pool.map(self._ask, queries))

    def store(self, entry: Entry, now_s: float) -> None:
        """Do nothing: the proxy stored its answers already."""

    def close(self, *, keep: bool) -> None:
        """Disconnect; only the proxy can remove its entries."""
        self._pool.shutdown()
        self._client.close()

    def notes(self) -> tuple[str, ...]:
        """Return notes about entries that stay in the proxy, and about unlogged prompts."""
        found = []
        if self._stored:
            where = " in a namespace of this run" if self._settings.isolate else ""
            found.append(
                f"{self._stored:,} answers of this replay stay in the cache of {self.traits.name}"
                f"{where}: it offers no way to remove them from outside. Flush it before it serves "
                "users, or give them a short TTL there."
            )
        if self.recorded is not None and self.recorded.unknown:
            found.append(
                f"The proxy asked for {self.recorded.unknown:,} prompts that the log does not "
                "hold: it changes messages before it passes them on."
            )
        return tuple(found)

    def _ask(self, query: Query) -> Lookup:
        headers, body = self._isolating() if self._settings.isolate else ({}, {})
        prompt = self._prompts[query.index]
        if self.recorded is not None:
            self.recorded.expect(query.index, prompt)
        started = time.perf_counter()
        try:
            done = self._client.complete(prompt, {**headers, **self._headers}, body or None)
        except CallError as error:
            return Lookup(error=error.reason)
        finally:
            if self.recorded is not None:
                self.recorded.forget(query.index, prompt)
        return self._read(query, done, (time.perf_counter() - started) * 1000)

    def _isolating(self) -> tuple[dict[str, str], dict[str, Any]]:
        """Return headers and body that isolate this run."""
        settings, product = self._settings, self._product
        values = {"scope": settings.prefix, "min_similarity": f"{settings.min_similarity:g}"}
        headers, body = product.headers, product.body
        if settings.ttl_s is not None and settings.speed is not None:
            values["ttl_s"] = str(max(1, round(settings.ttl_s / settings.speed)))
            headers = {**headers, **product.ttl_headers}
            body = _merged(body, product.ttl_body)
        return filled(headers, values), filled(body, values)

    def _read(self, query: Query, done: Completion, latency_ms: float) -> Lookup:
        hit = self._product.is_hit(done.headers, done.body)
        text_key = f"text:{text_digest(done.answer.text)}"
        id_key = f"id:{done.response_id}"
        known = done.response_id != "" and id_key in self._askers
        if hit is None:
            hit = known
        if not hit:
            self._stored += 1
            self._askers[id_key] = query
            self._askers.setdefault(text_key, query)
            answer = done.answer
            if self.recorded is not None:
                whole_ms = answer.latency_ms + self.recorded.unwaited_ms(query.index)
                answer = msgspec.structs.replace(answer, latency_ms=whole_ms)
            return Lookup(answer=answer, latency_ms=latency_ms)
        first = self._askers.get(id_key) or self._askers.get(text_key)
        match = self._match(query, first, done)
        return Lookup(match=match, latency_ms=latency_ms)

    def _match(self, query: Query, first: Query | None, done: Completion) -> Match:
        """Return a hit with the product's own similarity, as its embedder may differ from ours."""
        similarity = self._product.similarity(done.headers, done.body)
        if first is None:
            return Match("", similarity, False, done.answer.text)
        exact = first.row == query.row
        if similarity is None and exact:
            similarity = 1.0
        return Match(first.request_id, similarity, exact, done.answer.text)


def _check(product: Product, settings: CacheSettings) -> None:
    if settings.shadow:
        raise UsageError(
            "A proxy can't only look up: on a miss it asks its model.",
            hint="Leave --shadow out, and limit what it may spend with --max-spend.",
        )
    if settings.prompts is None:
        raise UsageError(
            "A proxy can't be replayed: the log holds no prompts.",
            hint="Replay through memory:// or redis://, which need only the questions.",
        )
    if settings.isolate and not product.scopes:
        raise UsageError(
            f"{product.name} takes no namespace from a request.",
            hint="Leave --isolate out, and replay against a proxy whose cache is empty.",
        )


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    both = dict(one)
    for name, value in other.items():
        both[name] = {**both.get(name, {}), **value} if isinstance(value, dict) else value
    return both
