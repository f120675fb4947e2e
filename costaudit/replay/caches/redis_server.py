"""Connect to a Redis server, explain its errors, and change only the replay's own keys."""

import getpass
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from costaudit.errors import BackendError, CostauditError, UsageError
from costaudit.providers.address import Address
from costaudit.replay.cache import CacheSettings, Lookup

OPTIONS = (
    "flavour", "timeout_s", "name", "quantization", "ef", "exact", "ca", "cert", "cert_key",
    "service", "algorithm", "m", "prompt_field", "response_field", "vector_field",
)  # fmt: skip
TIMEOUT_S = 5.0
REMOVED_AT_ONCE = 500
LEFT_S = 7 * 24 * 3600  # expiry of keys without a TTL that nobody removes
LOOKED_AT = 10_000  # keys that are checked to see whether the server is shared
SENTINEL = "redis+sentinel"
CERTIFICATES = {"ca": "ssl_ca_certs", "cert": "ssl_certfile", "cert_key": "ssl_keyfile"}
CLUSTERS = {"redis+cluster": "redis", "rediss+cluster": "rediss"}


TIMED_OUT = Lookup(error="timeout")


class TimedOutError(BackendError):
    """The server did not answer in time."""


class OnRedis:
    """What all caches on a Redis server share."""

    needs = ""  # what to run if the server lacks a command
    _client: Any
    _settings: CacheSettings

    def __init__(self, address: Address) -> None:
        self._address = address
        self._evicted = 0  # keys that the server evicted during the replay

    def reach(self) -> tuple[str, ...]:
        """Connect once, and close; return warnings about the server."""
        return ping(self._address, self.needs)

    def notes(self) -> tuple[str, ...]:
        """Return a note about evictions during the replay."""
        return evictions_note(self._evicted, self._address.printable)

    def _speaking(self) -> AbstractContextManager[None]:
        return speaking_to(self._address, self.needs)

    def _begin(self, prefix: str) -> None:
        """Count evictions from now on, and write the keys' owner; no prefix means no keys."""
        self._evicted = -evicted(self._client)
        if prefix:
            own(self._client, prefix)

    def _end(self, prefix: str, *, keep: bool) -> None:
        """Remove the owner's note, or update it for kept keys; then disconnect."""
        if prefix and keep:
            self._client.hset(f"{prefix}:owner", "pid", 0)
            self._client.persist(f"{prefix}:owner")
        elif prefix:
            self._client.unlink(f"{prefix}:owner")
        self._client.close()

    def _expire(self, client: Any, key: str, since_s: float, now_s: float) -> None:
        """Set a TTL on the server, if time passes in the replay."""
        ttl_s, speed = self._settings.ttl_s, self._settings.speed
        if ttl_s is not None and speed is not None:
            client.pexpire(key, real_ttl_ms(since_s + ttl_s, now_s, speed))


def connect(address: Address) -> Any:
    """Return a client with timeouts and without retries, so that latencies are the server's."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    timeout_s = address.number("timeout_s", TIMEOUT_S)
    settings: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 0),
        "client_name": "costaudit",
    }
    parts = urlsplit(address.url)
    if parts.scheme == SENTINEL:
        return _master(parts, address.options.get("service", "mymaster"), settings)
    for option, name in CERTIFICATES.items():
        if option in address.options:
            settings[name] = address.options[option]
    if parts.scheme in CLUSTERS:
        from redis.cluster import RedisCluster

        return RedisCluster.from_url(
            parts._replace(scheme=CLUSTERS[parts.scheme]).geturl(), **settings
        )
    return Redis.from_url(address.url, **settings)


def check_files(address: Address) -> None:
    """Raise UsageError for missing files of certificates."""
    for option in CERTIFICATES:
        path = address.options.get(option)
        if path is not None and not Path(path).is_file():
            raise UsageError(
                f"{option}={path}: there is no such file.",
                hint="ca, cert and cert_key each name a PEM file of this machine.",
            )


def check_searchable(address: Address) -> None:
    """Raise UsageError for a database or cluster that RediSearch does not index."""
    if in_cluster(address):
        raise UsageError(
            "RediSearch of a cluster needs a coordinator, which is not replayed through.",
            hint="Give ?flavour=vectorset, or one node of its own.",
        )
    parts = urlsplit(address.url)
    if parts.scheme != "unix" and parts.path.strip("/") not in ("", "0"):
        raise UsageError(
            f"{address.printable}: RediSearch indexes the first database only.",
            hint="Give /0 or no database, or ?flavour=vectorset, which works in any.",
        )


def in_cluster(address: Address) -> bool:
    """Return whether an address names a cluster, whose keys must be in one slot."""
    return urlsplit(address.url).scheme in CLUSTERS


def _master(parts: SplitResult, service: str, settings: dict[str, Any]) -> Any:
    """Return the master of a service, from the sentinels at HOST:PORT[,HOST:PORT]."""
    from redis import sentinel

    client: Any = sentinel.Sentinel
    hosts = parts.netloc.rpartition("@")[2].split(",")
    pairs = [(host.rpartition(":")[0] or host, host.rpartition(":")[2]) for host in hosts]
    sentinels = [(host, int(port) if port.isdigit() else 26379) for host, port in pairs]
    timeouts = {"socket_timeout": settings["socket_timeout"]}
    asked = client(sentinels, sentinel_kwargs=timeouts)
    database = int(parts.path.strip("/") or 0)
    return asked.master_for(
        service, db=database, username=parts.username, password=parts.password, **settings
    )


def ping(address: Address, needs: str = "") -> tuple[str, ...]:
    """Return a server's warnings; raises BackendError (see speaking_to) if it does not answer."""
    with speaking_to(address, needs):
        client = connect(address)
        client.ping()
        warnings = _warnings(client, address.printable)
        client.close()
    return warnings


def _warnings(client: Any, where: str) -> tuple[str, ...]:
    """Return warnings about what a replay could do to other users' keys on this server."""
    memory = _info(client, "memory")
    policy, limit = str(memory.get("maxmemory_policy", "")), int(memory.get("maxmemory", 0))
    others = _others(client)
    if not limit or not others:
        return ()
    if policy.startswith("allkeys"):
        return (
            f"{where} holds keys of others and evicts any key when it is full ({policy}): a replay "
            "can push theirs out. Replay against a server of its own.",
        )
    return (
        f"{where} holds keys of others and its memory is limited ({policy}): a replay that fills "
        "it makes their writes fail. Replay against a server of its own.",
    )


def _others(client: Any) -> bool:
    """Return whether the database holds keys that no replay made."""
    keys = islice(client.scan_iter(count=1000), LOOKED_AT)
    return any(not key.startswith(b"costaudit:") for key in keys)


def _info(client: Any, section: str) -> dict[str, Any]:
    """Return a section of INFO; empty if the user has no permission."""
    from redis.exceptions import RedisError

    try:
        found: dict[str, Any] = client.info(section)
    except RedisError:
        return {}
    return found


def evicted(client: Any) -> int:
    """Return how many keys the server has evicted so far; 0 if unknown."""
    return int(_info(client, "stats").get("evicted_keys", 0))


def evictions_note(count: int, where: str) -> tuple[str, ...]:
    """Return a note about evicted keys during a replay; empty if there were none."""
    if count <= 0:
        return ()
    return (
        f"{where} evicted {count:,} keys during the replay: its memory is too small for these "
        "entries, so hits were lost that a larger server would have.",
    )


def owner_name() -> str:
    """Return the user and machine that run this."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def own(client: Any, prefix: str) -> None:
    """Write the keys' owner and expiry, for `replay --clean`."""
    key = f"{prefix}:owner"
    started = datetime.now(UTC).isoformat(timespec="seconds")
    client.hset(key, mapping={"owner": owner_name(), "pid": os.getpid(), "started": started})
    client.expire(key, LEFT_S)


def clean(address: Address) -> tuple[str, ...]:
    """Remove what this user's earlier replays left on a server, and return a line per action.

    Replays that still run on this machine and other users' replays are not changed.
    """
    said = []
    with speaking_to(address):
        client = connect(address)
        for key in sorted(client.scan_iter(match="costaudit:*:owner", count=1000)):
            about = {k.decode(): v.decode() for k, v in client.hgetall(key).items()}
            prefix = key.decode().removesuffix(":owner")
            owner, started = about.get("owner", "?"), about.get("started", "?")
            if owner != owner_name():
                said.append(f"{prefix} is of {owner}, {started}: left alone.")
            elif _runs(int(about.get("pid", 0))):
                said.append(f"{prefix} is of a replay that runs now: left alone.")
            else:
                count = _remove_run(client, prefix)
                said.append(f"{prefix}, {started}: {count:,} keys removed.")
        client.close()
    return tuple(said)


def _remove_run(client: Any, prefix: str) -> int:
    from redis.exceptions import RedisError

    with suppress(RedisError):  # a server without RediSearch has no index either
        client.ft(f"{prefix}:redisvl").dropindex(delete_documents=False)
    keys = list(client.scan_iter(match=f"{prefix}:*", count=1000))
    remove(client, keys)
    return len(keys)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return pid > 0


@contextmanager
def speaking_to(address: Address, needs: str = "") -> Iterator[None]:
    """Turn Redis errors into TimedOutError or a BackendError with the next step.

    `needs` says what to run if the server lacks a command.
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
        secure = urlsplit(address.url).scheme.startswith("rediss")
        return TimedOutError(
            f"{where} did not answer in time.",
            hint="See why it is slow, or wait longer: the address option timeout_s says how long."
            + secure * " A port without TLS never answers rediss://; give redis:// for it.",
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
    # A transaction's error names the lack of memory in the middle of its text.
    if isinstance(error, exceptions.OutOfMemoryError) or "OOM command" in text:
        return BackendError(
            f"{where} is out of memory and its policy evicts nothing.",
            hint="Raise maxmemory, or replay against a server of its own whose maxmemory-policy "
            "is the one that production has.",
        )
    if isinstance(error, exceptions.ConnectionError):
        return BackendError(
            f"Can't speak to Redis at {where}: {_reason(text)}.",
            hint="Start it, for instance with `docker run -p 6379:6379 redis:8`, or check the URL.",
        )
    if "unknown command" in text.lower() and "sentinel" in text.lower():
        return BackendError(
            f"{where} is no sentinel.",
            hint="Name the sentinels' own ports, 26379 by default, or give redis://HOST:PORT.",
        )
    if "unknown command" in text.lower():
        return BackendError(f"{where} lacks a command that this cache needs.", hint=needs)
    return BackendError(f"{where} answered: {text.rstrip('.')}.", hint="See to the server's log.")


def _reason(text: str) -> str:
    return text.rstrip(".").splitlines()[0] if text else "the connection was closed"


def claim(client: Any, prefix: str, *, resumed: bool, where: str) -> None:
    """Check that no key has the prefix; a resumed run removes its own earlier keys."""
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
    """Delete keys by name, several hundred at a time."""
    batch: list[Any] = []
    for key in keys:
        batch.append(key)
        if len(batch) == REMOVED_AT_ONCE:
            client.unlink(*batch)
            batch.clear()
    if batch:
        client.unlink(*batch)


def real_ttl_ms(until_s: float, now_s: float, speed: float) -> int:
    """Return the rest of a TTL on the log's clock as a real TTL for Redis, in ms."""
    return max(1, round((until_s - now_s) / speed * 1000))
