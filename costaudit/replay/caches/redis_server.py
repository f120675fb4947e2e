"""A Redis server: connecting, saying what went wrong, and touching only keys of our own."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from costaudit.errors import BackendError, CostauditError
from costaudit.replay.address import Address

OPTIONS = ("flavour", "timeout_s", "name", "quantization", "ef", "exact")
TIMEOUT_S = 5.0
REMOVED_AT_ONCE = 500
REFUSED = ("WRONGPASS", "NOAUTH")


class TimedOutError(BackendError):
    """The server did not answer in time."""


def connect(address: Address) -> Any:
    """Make a client with timeouts and no retries, so that latencies are the server's own."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    timeout_s = address.number("timeout_s", TIMEOUT_S)
    return Redis.from_url(
        address.url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        client_name="costaudit",
    )


def ping(address: Address, needs: str = "") -> None:
    """Raise BackendError, see speaking_to, where the server does not answer."""
    with speaking_to(address, needs):
        client = connect(address)
        client.ping()
        client.close()


@contextmanager
def speaking_to(address: Address, needs: str = "") -> Iterator[None]:
    """Turn what Redis raises into TimedOutError or a BackendError with the next step.

    `needs` says which command to run where the server does not know ours.
    """
    try:
        yield
    except CostauditError:
        raise
    except Exception as error:
        from redis.exceptions import RedisError
        from redisvl.exceptions import RedisVLError

        cause = error.__cause__ or error.__context__ if isinstance(error, RedisVLError) else error
        if not isinstance(cause, RedisError) and not isinstance(error, RedisVLError):
            raise
        raise _explain(cause if isinstance(cause, RedisError) else error, address, needs) from None


def _explain(error: Exception, address: Address, needs: str) -> Exception:
    from redis import exceptions

    where = address.printable
    text = str(error)
    if isinstance(error, exceptions.TimeoutError):
        return TimedOutError(
            f"{where} did not answer in time.",
            hint="See why it is slow, or wait longer: the address option timeout_s says how long.",
        )
    if isinstance(error, exceptions.AuthenticationError) or text.startswith(
        ("WRONGPASS", "NOAUTH")
    ):
        return BackendError(
            f"{where} refused the user name or the password.",
            hint="Give them as redis://USER:PASSWORD@HOST:PORT; they are never printed.",
        )
    if isinstance(error, exceptions.NoPermissionError):
        return BackendError(
            f"{where} does not allow this user a command: {text}.",
            hint="Grant the user's ACL the keys ~costaudit:* and the commands +@all.",
        )
    if isinstance(error, exceptions.OutOfMemoryError) or text.startswith("OOM"):
        return BackendError(
            f"{where} is out of memory and its policy evicts nothing.",
            hint="Raise maxmemory, or set maxmemory-policy to allkeys-lru.",
        )
    if isinstance(error, exceptions.ConnectionError):
        return BackendError(
            f"Can't speak to Redis at {where}: {_reason(text)}.",
            hint="Start it, for instance with `docker run -p 6379:6379 redis:8`, or mend the URL.",
        )
    if "unknown command" in text.lower():
        return BackendError(f"{where} lacks a command that this cache needs.", hint=needs)
    return BackendError(f"{where} answered: {text}.", hint="See to the server's log.")


def _reason(text: str) -> str:
    return text.rstrip(".").splitlines()[0] if text else "the connection was closed"


def claim(client: Any, prefix: str, *, resumed: bool, where: str) -> None:
    """Make sure that no key has the prefix; a resumed run removes its own leftovers."""
    found = client.scan_iter(match=f"{prefix}:*", count=1000)
    if resumed:
        remove(client, found)
        return
    if next(iter(found), None) is not None:
        raise BackendError(
            f"{where} already holds keys that start with {prefix}:.",
            hint="Remove them, or run again: every run takes a new prefix.",
        )


def remove(client: Any, keys: Iterable[Any]) -> None:
    """Delete keys by name, some hundreds at a time."""
    batch: list[Any] = []
    for key in keys:
        batch.append(key)
        if len(batch) == REMOVED_AT_ONCE:
            client.unlink(*batch)
            batch.clear()
    if batch:
        client.unlink(*batch)


def real_ttl_ms(until_s: float, now_s: float, speed: float) -> int:
    """Scale what is left of a TTL on the log's clock to a TTL that Redis counts down."""
    return max(1, round((until_s - now_s) / speed * 1000))
