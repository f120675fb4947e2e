"""Metrics of an application's cache and models, with the names that `costaudit monitor` reads.

from costaudit.metrics import CacheMetrics

metrics = CacheMetrics()
metrics.serve(9100)

@metrics.lookup
def cached(question): ...           # returns an answer, or None

@metrics.model("gpt-4o", cost_usd=price_of)
def ask(question): ...              # returns an SDK's response with its usage
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

P = ParamSpec("P")
R = TypeVar("R")
Result = Literal["hit", "miss", "bypass", "error"]
TokenType = Literal["input", "cache_read", "cache_write", "output"]
BUCKETS_S = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0)


@dataclass(frozen=True)
class Call:
    """One finished request."""

    result: Result
    model: str = ""
    endpoint: str = ""
    latency_s: float | None = None  # until the answer, from the cache or from a model
    lookup_s: float | None = None
    cost_usd: float = 0.0  # cost of a model's answer
    saved_usd: float = 0.0  # original cost of an answer from the cache
    tokens: Mapping[TokenType, int] = field(default_factory=dict)  # billed for it; disjoint classes


class Meter(Protocol):
    """A backend for metrics."""

    def count(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Add to a counter; `name` is without the suffix _total."""

    def observe(self, name: str, seconds: float) -> None:
        """Add to a histogram."""


COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "semantic_cache_requests": ("Requests by result", ("result",)),
    "llm_cost_dollars": ("Cost of what models answered", ("model", "endpoint")),
    "llm_cost_saved_dollars": ("Cost of what the cache answered", ("model", "endpoint")),
    "llm_tokens": ("Tokens of what models answered", ("type", "model")),
}
HISTOGRAMS = {
    "llm_request_latency_seconds": "Time to an answer, from the cache or from a model",
    "semantic_cache_lookup_seconds": "Time of a lookup",
}
STARTED = "semantic_cache_start_time_seconds"


class PrometheusMeter:
    """Metrics of the `prometheus_client` package."""

    def __init__(self, registry: "CollectorRegistry | None" = None) -> None:
        from prometheus_client import REGISTRY, Counter, Gauge, Histogram

        self.registry = registry if registry is not None else REGISTRY
        self._counters = {
            name: Counter(f"{name}_total", text, labels, registry=self.registry)
            for name, (text, labels) in COUNTERS.items()
        }
        self._histograms = {
            name: Histogram(name, text, buckets=BUCKETS_S, registry=self.registry)
            for name, text in HISTOGRAMS.items()
        }
        self._started = Gauge(STARTED, "When the cache was empty", registry=self.registry)
        for result in ("hit", "miss", "bypass", "error"):  # rates need counters that start at 0
            self._counters["semantic_cache_requests"].labels(result)

    def count(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Add to a counter."""
        self._counters[name].labels(**labels).inc(value)

    def observe(self, name: str, seconds: float) -> None:
        """Add to a histogram."""
        self._histograms[name].observe(seconds)

    def started(self, at_s: float) -> None:
        """Record when the cache was empty, as seconds since 1970."""
        self._started.set(at_s)


class OpenTelemetryMeter:
    """Metrics of the `opentelemetry-api` package; its Prometheus exporter uses the same names."""

    def __init__(self, meter: Any = None) -> None:
        from opentelemetry import metrics

        meter = meter if meter is not None else metrics.get_meter("costaudit")
        self._counters = {
            name: meter.create_counter(name, description=text)
            for name, (text, _) in COUNTERS.items()
        }
        self._histograms = {
            name: meter.create_histogram(
                name.removesuffix("_seconds"), unit="s", description=text,
                explicit_bucket_boundaries_advisory=BUCKETS_S,
            )
            for name, text in HISTOGRAMS.items()
        }  # fmt: skip

    def count(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Add to a counter."""
        self._counters[name].add(value, dict(labels))

    def observe(self, name: str, seconds: float) -> None:
        """Add to a histogram."""
        self._histograms[name].record(seconds)


class CacheMetrics:
    """Counts lookups, hits, misses, errors, latency, cost, savings, and tokens by class."""

    def __init__(self, meter: Meter | None = None) -> None:
        self.meter: Meter = meter if meter is not None else PrometheusMeter()
        self.cache_emptied()

    def serve(self, port: int) -> None:
        """Serve the metrics on a port, by `prometheus_client`; raise TypeError for other meters."""
        from prometheus_client import start_http_server

        if not isinstance(self.meter, PrometheusMeter):
            raise TypeError("OpenTelemetry's own exporter serves its metrics")
        start_http_server(port, registry=self.meter.registry)

    def cache_emptied(self, at_s: float | None = None) -> None:
        """Record that the cache starts empty, so that alerts wait until it is warm."""
        if isinstance(self.meter, PrometheusMeter):
            self.meter.started(time.time() if at_s is None else at_s)

    def record(self, call: Call) -> None:
        """Count one finished request."""
        self.meter.count("semantic_cache_requests", 1, {"result": call.result})
        if call.latency_s is not None:
            self.meter.observe("llm_request_latency_seconds", call.latency_s)
        if call.lookup_s is not None:
            self.meter.observe("semantic_cache_lookup_seconds", call.lookup_s)
        if call.result == "hit" or call.model or call.cost_usd or call.tokens:
            self._money(call)

    def _money(self, call: Call) -> None:
        labels = {"model": call.model, "endpoint": call.endpoint}
        if call.result == "hit":
            self.meter.count("llm_cost_saved_dollars", call.saved_usd, labels)
            return
        self.meter.count("llm_cost_dollars", call.cost_usd, labels)
        for name, count in call.tokens.items():
            self.meter.count("llm_tokens", count, {"type": name, "model": call.model})

    def lookup(self, function: Callable[P, R]) -> Callable[P, R]:
        """Count a function's calls: None is a miss, an exception is an error, the rest are hits.

        Coroutine functions are counted when they are awaited.
        """

        def done(found: R, took_s: float) -> None:
            if found is None:  # `model` records the latency
                self.record(Call("miss", lookup_s=took_s))
            else:
                self.record(Call("hit", latency_s=took_s, lookup_s=took_s))

        return _timed(function, done, lambda took_s: self.record(Call("error", lookup_s=took_s)))

    def model(
        self, name: str, *, endpoint: str = "", cost_usd: Callable[[R], float] | None = None
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Count calls of a function that asks a model: latency, tokens from `usage`, and cost.

        Coroutine functions are counted when they are awaited.
        """

        def done(response: R, took_s: float) -> None:
            self.meter.observe("llm_request_latency_seconds", took_s)
            usd = cost_usd(response) if cost_usd is not None else 0.0
            tokens = tokens_of(getattr(response, "usage", None))
            self._money(Call("miss", name, endpoint, cost_usd=usd, tokens=tokens))

        return lambda function: _timed(function, done, lambda took_s: None)


def _timed(
    function: Callable[P, R],
    done: Callable[[R, float], None],
    failed: Callable[[float], None],
) -> Callable[P, R]:
    """Wrap a function or coroutine function; report each call's result or failure, and its time."""

    @contextmanager
    def watched() -> Iterator[Callable[[R], None]]:
        started = time.perf_counter()
        try:
            yield lambda found: done(found, time.perf_counter() - started)
        except BaseException:
            failed(time.perf_counter() - started)
            raise

    if iscoroutinefunction(function):

        @wraps(function)
        async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
            with watched() as told:
                found = await function(*args, **kwargs)
                told(found)
                return found

        return cast("Callable[P, R]", awaited)

    @wraps(function)
    def counted(*args: P.args, **kwargs: P.kwargs) -> R:
        with watched() as told:
            found = function(*args, **kwargs)
            told(found)
            return found

    return counted


def tokens_of(usage: Any) -> dict[TokenType, int]:
    """Return the token counts of `usage`, in disjoint classes.

    OpenAI's input includes its cached tokens, in Chat Completions and in Responses. Anthropic's
    input does not.
    """
    if usage is None:
        return {}
    if hasattr(usage, "prompt_tokens"):
        details = getattr(usage, "prompt_tokens_details", None)
        return _without_cached(usage.prompt_tokens, details, usage.completion_tokens)
    details = getattr(usage, "input_tokens_details", None)
    if details is not None:
        return _without_cached(usage.input_tokens, details, usage.output_tokens)
    return {
        "input": int(getattr(usage, "input_tokens", 0) or 0),
        "cache_read": int(getattr(usage, "cache_read_input_tokens", 0) or 0),
        "cache_write": int(getattr(usage, "cache_creation_input_tokens", 0) or 0),
        "output": int(getattr(usage, "output_tokens", 0) or 0),
    }


def _without_cached(tokens: Any, details: Any, output: Any) -> dict[TokenType, int]:
    read = int(getattr(details, "cached_tokens", None) or 0)
    write = int(getattr(details, "cache_write_tokens", None) or 0)
    return {
        "input": int(tokens) - read - write,
        "cache_read": read,
        "cache_write": write,
        "output": int(output),
    }
