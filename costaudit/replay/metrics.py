"""Prometheus metrics of a replay while it runs, under the names that dashboards already use."""

import math
import socket
import threading
from collections import deque
from collections.abc import Sequence
from types import TracebackType

from costaudit.errors import UsageError
from costaudit.replay.journal import Acknowledged
from costaudit.replay.stream import ReplayStream

WINDOW = 1000  # lookups that the hit rate looks back on
SECONDS = (0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
CACHED = slice(1, 5)  # of the token classes: reads and writes of a provider's prompt cache


class Monitor:
    """Serve metrics on a port of this machine; give it to `replay` as the listener."""

    def __init__(self, stream: ReplayStream, port: int) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.port = port  # 0: any free one, known once it is open
        self._stream = stream
        self._registry = registry = CollectorRegistry()
        self._recent: deque[bool] = deque(maxlen=WINDOW)
        self._lock = threading.Lock()
        self._requests = Counter(
            "semantic_cache_requests_total", "Requests by result", ["result"], registry=registry
        )
        self._hit_rate = Gauge(
            "semantic_cache_hit_rate", "Hits of the last lookups, in percent", registry=registry
        )
        self._latency = Histogram(
            "llm_request_latency_seconds", "Time to an answer, from the cache or from a model",
            buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self._lookup = Histogram(
            "semantic_cache_lookup_seconds", "Time of a lookup", buckets=SECONDS, registry=registry
        )
        self._lateness = Histogram(
            "semantic_cache_replay_lateness_seconds", "Time behind the log's clock",
            buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self._cost = Counter(
            "llm_cost_dollars_total", "Cost of what models answered", ["model", "endpoint"],
            registry=registry,
        )  # fmt: skip
        self._saved = Counter(
            "llm_cost_saved_dollars_total", "Cost of what the cache answered",
            ["model", "endpoint"], registry=registry,
        )  # fmt: skip
        self._tokens = Counter(
            "llm_tokens_total", "Tokens of what models answered", ["type", "model"],
            registry=registry,
        )  # fmt: skip

    def __enter__(self) -> "Monitor":
        from prometheus_client import start_http_server

        try:
            self._server, self._thread = start_http_server(
                self.port, addr="127.0.0.1", registry=self._registry
            )
        except OSError as error:
            raise _taken(self.port, error) from None
        self.port = self._server.server_port
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __call__(self, done: Acknowledged) -> None:
        """Count one request that is done."""
        model = _label(self._stream.models, done.index)
        labels = (model, _label(self._stream.endpoints, done.index))
        self._requests.labels(done.result).inc()
        if done.latency_ms is not None:
            self._latency.observe((done.latency_ms + done.lateness_ms) / 1000)
        if done.lookup_ms is not None:
            self._lookup.observe(done.lookup_ms / 1000)
            self._lateness.observe(done.lateness_ms / 1000)
        if done.result in ("hit", "miss"):
            self._rate(done.result == "hit")
        cost_usd = self._cost_usd(done)
        (self._saved if done.result == "hit" else self._cost).labels(*labels).inc(cost_usd)
        self._tokens.labels("input", model).inc(done.tokens[0])
        self._tokens.labels("cached", model).inc(sum(done.tokens[CACHED]))
        self._tokens.labels("output", model).inc(done.tokens[-1])

    def _rate(self, is_hit: bool) -> None:
        with self._lock:
            self._recent.append(is_hit)
            self._hit_rate.set(100 * sum(self._recent) / len(self._recent))

    def _cost_usd(self, done: Acknowledged) -> float:
        """Take what was paid now, else what the log's call had cost."""
        spent_usd = float(done.spent_usd)
        logged = self._stream.cost_usd
        if spent_usd or logged is None or done.result == "error":
            return spent_usd
        logged_usd = float(logged[done.index])
        return 0.0 if math.isnan(logged_usd) else logged_usd


def _label(labels: Sequence[str], index: int) -> str:
    return labels[index] if labels else ""


def check_port(port: int) -> None:
    """Raise UsageError where a port of this machine is taken, or can't be had."""
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        raise _taken(port, error) from None


def _taken(port: int, error: Exception) -> UsageError:
    return UsageError(
        f"Metrics can't be served on port {port}: {getattr(error, 'strerror', None) or error}.",
        hint="Name a free one with --metrics-port.",
    )
