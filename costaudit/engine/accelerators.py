"""Give partitions to actors of Ray that each own one accelerator, where a model stays loaded."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

RETRIES = 3  # of a partition whose worker was killed


class _Owner:
    """An actor's process; Ray shows it one accelerator."""

    def here(self) -> None:
        """Answer when the process has started."""

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return the function's result."""
        return function(*arguments)


_Begun = tuple[int, Any, Any]  # the actor's place, the actor, and the reference of its result


class Owners:
    """One actor for each accelerator of a cluster; a killed one is replaced.

    Several threads may begin calls. An actor that has not started is passed over while others
    work: its accelerator may be in use, or lost with its node.
    """

    def __init__(self, ray: Any, count: int) -> None:
        self._ray = ray
        self._kind = ray.remote(num_cpus=0, num_gpus=1)(_Owner)
        self._actors = [self._kind.remote() for _ in range(count)]
        self._starting = {place: one.here.remote() for place, one in enumerate(self._actors)}
        self._calls = [0] * count  # that each has begun and not ended
        self._lock = threading.Lock()

    def begin(self, function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
        """Begin a call on the least busy actor; return a function that waits for its result."""
        return partial(self._result, *self._begun(function, arguments), function, arguments)

    def _begun(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> _Begun:
        with self._lock:
            starting = list(self._starting.values())
        if len(starting) == len(self._actors):
            self._ray.wait(starting, num_returns=1)
        with self._lock:
            for place, told in [*self._starting.items()]:
                if self._ray.wait([told], timeout=0)[0]:
                    del self._starting[place]
            place = min(
                range(len(self._actors)), key=lambda one: (one in self._starting, self._calls[one])
            )
            self._calls[place] += 1
            actor = self._actors[place]
        return place, actor, actor.run.remote(function, *arguments)

    def _result(
        self,
        place: int,
        actor: Any,
        reference: Any,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
    ) -> Any:
        """Return a call's result; begin it again if its actor was killed, up to RETRIES times."""
        for retry in range(RETRIES + 1):
            try:
                return self._ray.get(reference)
            except self._ray.exceptions.RayActorError:
                self._replace(place, actor)
                if retry == RETRIES:
                    raise
            finally:
                with self._lock:
                    self._calls[place] -= 1
            place, actor, reference = self._begun(function, arguments)
        raise AssertionError

    def _replace(self, place: int, killed: Any) -> None:
        with self._lock:
            if self._actors[place] is killed:
                self._actors[place] = self._kind.remote()
                self._starting[place] = self._actors[place].here.remote()


_shared: dict[str, Owners] = {}  # of each connection to Ray: all engines use the same actors
_sharing = threading.Lock()


def owners(ray: Any, count: int) -> Owners:
    """Return the actors of this process's connection to Ray; the first call starts them."""
    connection = str(ray.get_runtime_context().get_worker_id())
    with _sharing:
        if connection not in _shared:
            _shared[connection] = Owners(ray, count)
        return _shared[connection]
