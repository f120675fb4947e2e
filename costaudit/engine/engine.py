"""Choose where partitions run: in this process, in a process pool, or on Ray."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from costaudit.engine.on_ray import is_cluster, ray_engine
from costaudit.engine.pool import Pool
from costaudit.errors import UsageError

P = TypeVar("P")
R = TypeVar("R")
NAMES = ("local", "pool", "ray")
DEFAULT = "pool"


class Engine(Protocol):
    """Maps functions over partitions; the results don't depend on where it does so."""

    @property
    def workers(self) -> int:
        """Partitions that are mapped at the same time."""

    @property
    def accelerators(self) -> int:
        """Accelerators that workers own; 0 where partitions that need one are mapped as others."""

    @property
    def is_apart(self) -> bool:
        """Whether workers may be on other machines, and only have what a partition contains."""

    def map(
        self,
        function: Callable[[P], R],
        partitions: Iterable[P],
        prepare: Callable[[], None] | None = None,
        *,
        needs_accelerator: bool = False,
    ) -> Iterator[R]:
        """Yield `function` of each partition, in order; all three must be picklable.

        A partition whose worker was killed is mapped again, so `function` must be able to begin
        anew. A process that is started for them first calls `prepare`. Closing the iterator begins
        no more. Where there are `accelerators`, partitions that need one go to their owners.
        """

    def close(self) -> None:
        """End the workers that only this engine uses."""


class Processes:
    """This process and, with `workers` > 1, others of a pool on this machine."""

    is_apart = False
    accelerators = 0  # processes of this machine share its own

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self._pool: Pool | None = None

    def map(
        self,
        function: Callable[[P], R],
        partitions: Iterable[P],
        prepare: Callable[[], None] | None = None,
        *,
        needs_accelerator: bool = False,
    ) -> Iterator[R]:
        """Yield `function` of each partition, in order; the processes stay until it is closed."""
        self._pool = self._pool or Pool(self.workers, prepare)
        return self._pool.map(function, partitions)

    def close(self) -> None:
        """End the other processes."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None


def check_engine(name: str) -> str:
    """Return an engine's name if there is such an engine; raises UsageError."""
    if name in NAMES or is_cluster(name):
        return name
    raise UsageError(
        f"There is no engine {name!r}.",
        hint="Choose local, pool, ray, or the address of a Ray cluster: ray://HOST:10001.",
    )


def is_on_ray(name: str) -> bool:
    """Return whether Ray maps the partitions of this engine."""
    return check_engine(name) == "ray" or is_cluster(name)


def engine_named(name: str, workers: int) -> Engine:
    """Return an engine of up to `workers` processes; a cluster has as many as processors.

    The name is local, pool, ray (started on this machine) or ray://HOST:PORT. Raises UsageError for
    other names and if Ray is not installed, BackendError if it can't be started or reached.
    """
    if is_on_ray(name):
        return ray_engine(name, workers)
    return Processes(1 if name == "local" else workers)
