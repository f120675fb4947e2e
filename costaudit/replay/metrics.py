"""Serve Prometheus metrics of a running replay, with the names that dashboards use."""

import math
import socket
from collections.abc import Sequence
from types import TracebackType

from costaudit.errors import UsageError
from costaudit.metrics import BUCKETS_S, CacheMetrics, Call, PrometheusMeter, TokenType
from costaudit.replay.journal import Acknowledged
from costaudit.replay.stream import ReplayStream

CLASSES: tuple[TokenType, ...] = (
    "input", "cache_read", "cache_write", "cache_write", "cache_write", "output",
)  # in the order of TOKEN_CLASSES  # fmt: skip


class Monitor:
    """Serves metrics on a local port; `replay` takes it as the listener."""

    def __init__(self, stream: ReplayStream, port: int) -> None:
        from prometheus_client import CollectorRegistry, Histogram

        self.port = port  # 0: any free port, set when it is open
        self._stream = stream
        self._registry = CollectorRegistry()
        self._metrics = CacheMetrics(PrometheusMeter(self._registry))
        self._lateness = Histogram(
            "semantic_cache_replay_lateness_seconds", "Time behind the log's clock",
            buckets=BUCKETS_S, registry=self._registry,
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
        """Count one finished request."""
        cost_usd = self._cost_usd(done)
        tokens: dict[TokenType, int] = {}
        for name, count in zip(CLASSES, done.tokens, strict=True):
            tokens[name] = tokens.get(name, 0) + count
        if done.lookup_ms is not None:
            self._lateness.observe(done.lateness_ms / 1000)
        late_ms = done.lateness_ms
        self._metrics.record(
            Call(
                result=done.result,
                model=_label(self._stream.models, done.index),
                endpoint=_label(self._stream.endpoints, done.index),
                latency_s=None if done.latency_ms is None else (done.latency_ms + late_ms) / 1000,
                lookup_s=None if done.lookup_ms is None else done.lookup_ms / 1000,
                cost_usd=cost_usd,
                saved_usd=cost_usd,
                tokens=tokens,
            )
        )

    def _cost_usd(self, done: Acknowledged) -> float:
        """Return what the request cost now, or else the cost of the log's call."""
        spent_usd = float(done.spent_usd)
        logged = self._stream.cost_usd
        if spent_usd or logged is None or done.result == "error":
            return spent_usd
        logged_usd = float(logged[done.index])
        return 0.0 if math.isnan(logged_usd) else logged_usd


def _label(labels: Sequence[str], index: int) -> str:
    return labels[index] if labels else ""


def check_port(port: int) -> None:
    """Raise UsageError if a local port is in use or not allowed."""
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        raise _taken(port, error) from None


def _taken(port: int, error: Exception) -> UsageError:
    return UsageError(
        f"Metrics can't be served on port {port}: {getattr(error, 'strerror', None) or error}.",
        hint="Name a free port with --metrics-port.",
    )
