"""redis://…?flavour=vectorset: a semantic cache on the vector sets of Redis 8."""

import math
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import xxhash

from costaudit.errors import UsageError
from costaudit.providers.address import Address
from costaudit.replay.cache import MISS, CacheSettings, CacheTraits, Entry, Lookup, Match, Query
from costaudit.replay.caches.eviction import Expiry
from costaudit.replay.caches.redis_server import (
    LEFT_S,
    TIMED_OUT,
    OnRedis,
    TimedOutError,
    claim,
    connect,
    evicted,
    in_cluster,
    remove,
)

NEEDS = "It is VADD: run Redis 8 or later, `docker run -p 6379:6379 redis:8`."
QUANTIZATIONS = ("q8", "noquant", "bin")
CANDIDATES = 4  # candidates if some may have expired
RENEWED_S = 3600.0  # a set's own expiry is put off this often, not with each answer


class _Near(msgspec.Struct, frozen=True, gc=False):
    element: str
    similarity: float
    key: str  # of its answer


class VectorSetCache(OnRedis):
    """One vector set per partition; answers are in separate hashes, which can expire."""

    needs = NEEDS

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._quantization = address.option("quantization", QUANTIZATIONS, "q8").upper()
        exact = address.option("exact", ("0", "1"), "0") == "1"
        self.traits = CacheTraits(address.printable, exact_index=exact)
        self._search: tuple[object, ...] = ("TRUTH",) if exact else ()
        if "ef" in address.options:
            self._search = (*self._search, "EF", int(address.number("ef", 200)))

    def open(self, settings: CacheSettings) -> None:
        """Connect, and try the commands on a test key."""
        if settings.shadow:
            raise UsageError(
                "Vector sets have no common layout, so there is none to look up in.",
                hint="Shadow a RedisVL index: redis://HOST?name=INDEX.",
            )
        self._settings = settings
        self._expiry: Expiry[tuple[int, str]] = Expiry(None if settings.speed else settings.ttl_s)
        self._counts_down = settings.ttl_s is not None and settings.speed is not None
        self._written: set[str] = set()
        self._renewed_s: dict[str, float] = {}  # on this machine's clock
        with self._speaking():
            self._client = connect(self._address)
            self._prefix = settings.prefix
            if in_cluster(self._address):
                self._prefix = _one_slot(settings.prefix)
            claim(self._client, self._prefix, resumed=settings.resumed, where=self.traits.name)
            self._client.execute_command("VCARD", self._set(0))
            self._begin(self._prefix)

    def lookup(self, queries: Sequence[Query]) -> list[Lookup]:
        """Look up identical text and similar vectors together, then fetch the similar answers."""
        try:
            with self._speaking():
                self._forget(self._expiry.expired(queries[0].now_s))
                found = self._identical_or_near(queries)
                answers = self._answers([near.key for _, nearest in found for near in nearest])
                lookups = [
                    self._serve(query, same, nearest, answers)
                    for query, (same, nearest) in zip(queries, found, strict=True)
                ]
        except TimedOutError:
            return [TIMED_OUT] * len(queries)
        return lookups

    def store(self, entry: Entry, now_s: float) -> None:
        """Add the vector and the answer in one round trip."""
        element = self._element(entry)
        key, vectors = self._key(entry.partition, element), self._set(entry.partition)
        vector = self._settings.vectors[entry.row].tobytes()
        self._written.update((key, vectors))
        with self._speaking(), self._client.pipeline(transaction=True) as pipe:
            pipe.execute_command("VADD", vectors, "FP32", vector, element, self._quantization)
            pipe.hset(key, mapping={"answer": entry.answer, "request_id": entry.request_id})
            if not self._settings.lasting:
                pipe.expire(key, LEFT_S)
                if time.monotonic() > self._renewed_s.get(vectors, -math.inf) + RENEWED_S:
                    pipe.expire(vectors, LEFT_S)
                    self._renewed_s[vectors] = time.monotonic()
            self._expire(pipe, key, entry.since_s, now_s)
            self._expiry.renew((entry.partition, element), entry.since_s)
            pipe.execute()

    def close(self, *, keep: bool) -> None:
        """Remove all written keys unless `keep`."""
        with self._speaking():
            self._evicted += evicted(self._client)
            if not keep:
                remove(self._client, sorted(self._written))
            self._end(self._prefix, keep=keep)

    def _identical_or_near(self, queries: Sequence[Query]) -> list[tuple[list[Any], list[_Near]]]:
        """Return for each query the answer to its own text, or else the nearest elements."""
        count = CANDIDATES if self._counts_down else 1
        with self._client.pipeline(transaction=False) as pipe:
            for query in queries:
                key = self._key(query.partition, self._element(query))
                pipe.execute_command("HMGET", key, "answer", "request_id")
                pipe.execute_command(
                    "VSIM", self._set(query.partition), "FP32",
                    self._settings.vectors[query.row].tobytes(),
                    "WITHSCORES", "COUNT", count, *self._search,
                )  # fmt: skip
            replies = pipe.execute()
        return [
            (same, [] if same[0] is not None else self._near(query, reply))
            for query, same, reply in zip(queries, replies[::2], replies[1::2], strict=True)
        ]

    def _near(self, query: Query, reply: Any) -> list[_Near]:
        """Return elements with their cosine; vector sets report (1 + cosine) / 2."""
        pairs = (
            reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
        )
        near = []
        for name, half in pairs:
            similarity = 2 * float(half) - 1
            if similarity >= self._settings.min_similarity:
                element = name.decode()
                near.append(_Near(element, similarity, self._key(query.partition, element)))
        return near

    def _answers(self, keys: Sequence[str]) -> dict[str, list[Any]]:
        if not keys:
            return {}
        with self._client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.execute_command("HMGET", key, "answer", "request_id")
            return dict(zip(keys, pipe.execute(), strict=True))

    def _serve(
        self,
        query: Query,
        same: list[Any],
        nearest: Sequence[_Near],
        answers: dict[str, list[Any]],
    ) -> Lookup:
        if same[0] is not None:
            self._renew(query, self._element(query))
            return Lookup(match=Match(same[1].decode(), 1.0, True, same[0].decode()))
        for found in nearest:
            answer, request_id = answers[found.key]
            if answer is not None:
                self._renew(query, found.element)
                match = Match(request_id.decode(), found.similarity, False, answer.decode())
                return Lookup(match=match)
            self._forget([(query.partition, found.element)])  # its answer has expired
        return MISS if len(nearest) < CANDIDATES else self.lookup([query])[0]

    def _renew(self, query: Query, element: str) -> None:
        if self._settings.ttl_kind == "sliding":
            key, now_s = self._key(query.partition, element), query.now_s
            self._expire(self._client, key, now_s, now_s)
            self._expiry.renew((query.partition, element), now_s)

    def _forget(self, gone: Any) -> None:
        for partition, element in gone:
            self._client.execute_command("VREM", self._set(partition), element)
            self._client.unlink(self._key(partition, element))

    def _set(self, partition: int) -> str:
        return f"{self._prefix}:vectors:{partition}"

    def _element(self, of: Query | Entry) -> str:
        """Return the name of a text in the set: its digest, because texts can be long."""
        return xxhash.xxh3_128_hexdigest(self._settings.texts[of.row].encode())

    def _key(self, partition: int, element: str) -> str:
        return f"{self._prefix}:answer:{partition}:{element}"


def _one_slot(prefix: str) -> str:
    """Return a prefix with its last part in braces, which decide the slot in a cluster."""
    start, _, last = prefix.rpartition(":")
    return f"{start}:{{{last}}}" if start else f"{{{last}}}"
