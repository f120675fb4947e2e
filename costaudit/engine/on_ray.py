"""Map a function over partitions on Ray: on this machine, or on a cluster."""

import atexit
import importlib
import logging
import os
import secrets
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import urlsplit

from costaudit.engine.accelerators import RETRIES, owners
from costaudit.errors import BackendError, CostauditError, UsageError
from costaudit.scratch import scratch_folder

P = TypeVar("P")
R = TypeVar("R")
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
}
OBJECT_STORE = 200 << 20  # bytes of memory for partitions and results; more is spilled to the disk
_joined: set[str] = set()  # addresses of clusters that this process is connected to
REACH_S = 5.0  # most seconds to wait for a cluster's address to answer


def is_cluster(name: str) -> bool:
    """Return whether an engine's name is the address of a Ray cluster."""
    return name.startswith("ray://") and len(name) > len("ray://")


class RayEngine:
    """Ray's workers, each on one processor, and actors, each on one accelerator.

    Ray moves and stores the partitions, and retries those of processors.
    """

    is_apart = True

    def __init__(self, ray: Any, workers: int, *, names_nodes: bool) -> None:
        self.workers = workers
        self.accelerators = int(ray.cluster_resources().get("GPU", 0))
        self._ray = ray
        self._task = ray.remote(num_cpus=1, max_retries=RETRIES)(_run)
        self._names_nodes = names_nodes  # in errors

    def map(
        self,
        function: Callable[[P], R],
        partitions: Iterable[P],
        prepare: Callable[[], None] | None = None,
        *,
        needs_accelerator: bool = False,
    ) -> Iterator[R]:
        """Yield `function` of each partition, in order; `prepare` is not called.

        Partitions that have begun are not cancelled: in Ray 2.60, `ray.cancel` of a task that is
        just ending aborts this process.
        """
        is_owned = needs_accelerator and self.accelerators > 0
        begin = owners(self._ray, self.accelerators).begin if is_owned else self._begin
        waiting = iter(partitions)
        pending: deque[Callable[[], Any]] = deque()
        while True:
            room = 2 * (self.accelerators if is_owned else self.workers) - len(pending)
            pending.extend(
                begin(_run, function, one, self._names_nodes) for one in islice(waiting, room)
            )
            if not pending:
                return
            yield self._result(pending.popleft())

    def close(self) -> None:
        """Do nothing: Ray's workers end with the command."""

    def _begin(self, function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
        return partial(self._ray.get, self._task.remote(*arguments))

    def _result(self, wait: Callable[[], Any]) -> Any:
        errors = self._ray.exceptions
        try:
            return wait()
        except errors.RayTaskError as error:
            raise error.cause from None
        except (errors.RayError, ConnectionError) as error:
            raise BackendError(
                f"Ray lost a partition: {_first_line(error)}",
                hint="Look at the memory of the nodes, and run again: it continues there.",
            ) from None


def _run(function: Callable[[P], R], partition: P, names_node: bool) -> R:
    """Run on a worker; add the node's name to the message of an error of ours."""
    try:
        return function(partition)
    except CostauditError as error:
        if names_node:
            error.message = f"On the node {socket.gethostname()}: {error.message}"
        raise


def ray_engine(name: str, workers: int) -> RayEngine:
    """Start Ray on this machine with `workers` processes, or connect to the cluster `name`.

    A Ray that this process has already started or reached is used as it is; one that it has
    imported keeps the caller's environment. Raises UsageError if
    Ray is not installed, BackendError if it can't be started, reached or used.
    """
    if "ray" not in sys.modules:  # it reads them when it is imported
        for key, value in (QUIET if is_cluster(name) else QUIET | _own_token()).items():
            os.environ.setdefault(key, value)
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError:
        raise UsageError(
            f"--engine {name} needs Ray, which is not installed.",
            hint="Run `pip install 'costaudit[scale]'`, or use --engine pool.",
        ) from None
    if not ray.is_initialized() or (is_cluster(name) and name not in _joined):
        try:
            _join(ray, name) if is_cluster(name) else _start(ray, workers)
        except (OSError, RuntimeError, TimeoutError, ValueError) as error:
            raise BackendError(
                f"Ray can't be {'reached at ' + name if is_cluster(name) else 'started'}: "
                f"{_first_line(error)}",
                hint="Compare the versions of Ray and Python here and there; set RAY_AUTH_TOKEN if "
                "the cluster has a token.",
            ) from None
    processors = int(ray.cluster_resources().get("CPU", 1))
    engine = RayEngine(ray, max(processors, 1), names_nodes=is_cluster(name))
    if is_cluster(name):
        _check_version(engine, name)
    return engine


def _own_token() -> dict[str, str]:
    """Return an environment that closes Ray's ports, open to the network, to everyone else."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


def _start(ray: Any, workers: int) -> None:
    held = ExitStack()
    folder = held.enter_context(scratch_folder("ray-"))
    held.callback(ray.shutdown)
    atexit.register(held.close)
    ray.init(
        "local",
        num_cpus=workers,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.CRITICAL,
        object_store_memory=OBJECT_STORE,
        _temp_dir=str(folder),
    )


def _join(ray: Any, address: str) -> None:
    place = urlsplit(address)
    try:
        socket.create_connection((place.hostname, place.port or 10001), REACH_S).close()
    except OSError as error:
        raise BackendError(
            f"No Ray cluster answers at {address}: {error.strerror or error}.",
            hint="Start its head with `ray start --head --ray-client-server-port=10001`, and check "
            "the port.",
        ) from None
    ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL)
    _joined.add(address)


def _version(_: int) -> str:
    from costaudit import __version__

    return __version__


def _check_version(engine: RayEngine, address: str) -> None:
    """Raise BackendError unless the cluster has this version of costaudit."""
    here = _version(0)
    try:
        there = f"costaudit {next(engine.map(_version, [0]))}"
    except ImportError:
        there = "no costaudit"
    if there != f"costaudit {here}":
        raise BackendError(
            f"The cluster at {address} has {there}, and this machine costaudit {here}.",
            hint=f"Run `pip install 'costaudit[scale]=={here}'` on every node.",
        )


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
