"""redis://: RedisVL's SemanticCache on RediSearch."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from costaudit.errors import BackendError, UsageError
from costaudit.providers.address import Address
from costaudit.replay.cache import (
    MISS,
    CacheSettings,
    CacheTraits,
    Entry,
    Held,
    Lookup,
    Match,
    Query,
)
from costaudit.replay.caches.eviction import Expiry
from costaudit.replay.caches.redis_server import (
    LEFT_S,
    TIMED_OUT,
    OnRedis,
    TimedOutError,
    claim,
    connect,
    evicted,
    remove,
)

if TYPE_CHECKING:
    from redisvl.extensions.cache.llm import SemanticCache
    from redisvl.index import SearchIndex
    from redisvl.query import VectorRangeQuery

NEEDS = (
    "It is RediSearch: run `docker run -p 6379:6379 redis:8`, or start the server with "
    "`redis-server --loadmodule redisearch.so`."
)
SAME_VECTOR = 1e-6  # cosine distance: the rounding of float32
ALIKE = 16  # maximum number of entries of one vector whose texts are compared


class RedisVLCache(OnRedis):
    """RedisVL's cache: its index, its keys and its queries, with vectors computed beforehand."""

    needs = NEEDS

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._hnsw = address.option("algorithm", ("flat", "hnsw"), "flat") == "hnsw"
        self._m, self._ef = int(address.number("m", 16)), int(address.number("ef", 200))
        if not self._hnsw and not {"m", "ef"}.isdisjoint(address.options):
            raise UsageError(
                "m and ef are parameters of an HNSW index.", hint="Give ?algorithm=hnsw as well."
            )
        names = (("prompt_field", "prompt"), ("response_field", "response"),
                 ("vector_field", "prompt_vector"))  # fmt: skip
        self._prompt, self._response, self._vector = (
            address.options.get(option, usual) for option, usual in names
        )
        made_here = "name" not in address.options
        self.traits = CacheTraits(address.printable, exact_index=made_here and not self._hnsw)

    def open(self, settings: CacheSettings) -> None:
        """Connect; create an index with the prefix, or open the one that the URL names."""
        shadowed = self._address.options.get("name")
        if settings.shadow != (shadowed is not None):
            raise UsageError(
                "A shadow replay looks up in an index that exists, and only that kind names one.",
                hint="Give both --shadow and redis://HOST?name=INDEX, or neither.",
            )
        self._settings = settings
        self._expiry: Expiry[str] = Expiry(None if settings.speed else settings.ttl_s)
        with self._speaking():
            self._client = connect(self._address)
            if shadowed is None:
                self._claim(settings)
            else:
                self._client.ft(shadowed).info()
            name = shadowed or f"{settings.prefix}:redisvl"
            if self._hnsw and shadowed is None:
                self._create_hnsw(name, settings.vectors.shape[1])
            if shadowed is None:
                self._cache = _semantic_cache(self._client, name, settings, made=self._hnsw)
                self._index = self._cache.index
            else:
                self._index = self._existing(shadowed, settings.vectors.shape[1])
            self._begin(self._own_prefix)

    def lookup(self, queries: Sequence[Query]) -> list[Lookup]:
        """Send the range queries of SemanticCache.check in one round trip.

        If only identical text may be served, the texts of the nearest entries decide.
        """
        try:
            with self._speaking():
                remove(self._client, self._expiry.expired(queries[0].now_s))
                found = self._index.batch_query(
                    [self._range_query(query) for query in queries], batch_size=len(queries)
                )
                if self._settings.min_similarity > 1:
                    found = [
                        self._identical(q, rows) for q, rows in zip(queries, found, strict=True)
                    ]
                lookups = [self._read(q, rows) for q, rows in zip(queries, found, strict=True)]
                if self._settings.ttl_kind == "sliding":
                    self._renew(queries, found)
        except TimedOutError:
            return [TIMED_OUT] * len(queries)
        return lookups

    def store(self, entry: Entry, now_s: float) -> None:
        """Store like SemanticCache; expiry is in milliseconds, because replays shorten it."""
        with self._speaking():
            key = self._cache.store(
                self._settings.texts[entry.row],
                entry.answer,
                vector=self._settings.vectors[entry.row].tolist(),
                metadata={"request_id": entry.request_id},
                filters=None if self._settings.shadow else {"scope": str(entry.partition)},
                ttl=None if self._settings.lasting else LEFT_S,
            )
            self._live_until(key, entry.since_s, now_s)

    def close(self, *, keep: bool) -> None:
        """Drop the index with its documents unless `keep`."""
        with self._speaking():
            self._evicted += evicted(self._client)
            if not keep and not self._settings.shadow:
                self._client.ft(self._index.name).dropindex(delete_documents=True)
            self._end(self._own_prefix, keep=keep)

    @property
    def _own_prefix(self) -> str:
        return "" if self._settings.shadow else self._settings.prefix

    def _claim(self, settings: CacheSettings) -> None:
        name = f"{settings.prefix}:redisvl"
        if name.encode() in self._client.execute_command("FT._LIST"):
            if not settings.resumed:
                raise BackendError(
                    f"{self.traits.name} already has an index {name}.",
                    hint="Drop it, or take another prefix.",
                )
            self._client.ft(name).dropindex(delete_documents=True)
        claim(self._client, settings.prefix, resumed=settings.resumed, where=self.traits.name)

    def held(self) -> Held:
        """Return the vectors of the named index, and the requests of their answers."""
        ids, vectors = [], []
        with self._speaking():
            client = connect(self._address)
            index = self._existing(self._address.options.get("name", ""), None)
            prefixes = index.schema.index.prefix
            for prefix in [prefixes] if isinstance(prefixes, str) else prefixes:
                for key in client.scan_iter(match=f"{prefix}*", _type="hash", count=1000):
                    vector, about = client.hmget(key, self._vector, "metadata")
                    if vector:
                        vectors.append(np.frombuffer(vector, np.float32))
                        ids.append(str(_metadata(about).get("request_id", "")))
            client.close()
        return Held(ids, np.array(vectors, np.float32).reshape(len(ids), -1))

    def _existing(self, name: str, dimensions: int | None) -> "SearchIndex":
        """Return the index of that name; raises UsageError if its vectors do not fit."""
        from redisvl.index import SearchIndex

        index = SearchIndex.from_existing(name, redis_client=connect(self._address))
        field: Any = index.schema.fields.get(self._vector)
        dims = getattr(getattr(field, "attrs", None), "dims", None)
        if dims is None or dimensions not in (None, dims):
            raise UsageError(
                f"The index {name} has no vectors of {dimensions} dimensions in {self._vector}; "
                f"its fields are {', '.join(index.schema.fields)}.",
                hint="Name them with prompt_field=, response_field= and vector_field=, and the "
                "application's model with --embedder.",
            )
        return index

    def _create_hnsw(self, name: str, dimensions: int) -> None:
        """Create SemanticCache's index with a graph (HNSW) instead of a list."""
        from redisvl.index import SearchIndex

        graph = {
            "dims": dimensions, "datatype": "float32", "distance_metric": "cosine",
            "algorithm": "hnsw", "m": self._m, "ef_construction": self._ef,
            "ef_runtime": self._ef,
        }  # fmt: skip
        fields: list[dict[str, Any]] = [
            {"name": "prompt", "type": "text"},
            {"name": "response", "type": "text"},
            {"name": "inserted_at", "type": "numeric"},
            {"name": "updated_at", "type": "numeric"},
            {"name": "prompt_vector", "type": "vector", "attrs": graph},
            {"name": "scope", "type": "tag"},
        ]
        schema = {"index": {"name": name, "prefix": name}, "fields": fields}
        SearchIndex.from_dict(schema, redis_client=self._client).create()

    def _range_query(self, query: Query) -> "VectorRangeQuery":
        from redisvl.query import VectorRangeQuery
        from redisvl.query.filter import Tag

        scope = None if self._settings.shadow else Tag("scope") == str(query.partition)
        exact = self._settings.min_similarity > 1
        return VectorRangeQuery(
            vector=self._settings.vectors[query.row].tobytes(),
            vector_field_name=self._vector,
            return_fields=[self._prompt, self._response, "metadata"],
            filter_expression=scope,
            distance_threshold=SAME_VECTOR if exact else 1 - self._settings.min_similarity,
            num_results=ALIKE if exact else 1,
        )

    def _identical(self, query: Query, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        text = self._settings.texts[query.row]
        return [row for row in rows if row.get(self._prompt) == text][:1]

    def _read(self, query: Query, rows: list[dict[str, Any]]) -> Lookup:
        if not rows:
            return MISS
        row = rows[0]
        metadata = _metadata(row.get("metadata"))
        exact = row.get(self._prompt) == self._settings.texts[query.row]
        similarity = 1.0 if exact else 1 - float(row["vector_distance"])
        request_id = str(metadata.get("request_id", ""))
        return Lookup(match=Match(request_id, similarity, exact, row.get(self._response, "")))

    def _renew(self, queries: Sequence[Query], found: list[list[dict[str, Any]]]) -> None:
        if not self._settings.shadow:
            for query, rows in zip(queries, found, strict=True):
                if rows:
                    now_s = query.now_s
                    self._live_until(rows[0]["id"], now_s, now_s)

    def _live_until(self, key: str, since_s: float, now_s: float) -> None:
        self._expire(self._client, key, since_s, now_s)
        self._expiry.renew(key, since_s)


def _metadata(text: Any) -> dict[str, Any]:
    """Return RedisVL's metadata of an answer; empty if it is no JSON object."""
    try:
        found = msgspec.json.decode(text or "{}")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _semantic_cache(
    client: Any, name: str, settings: CacheSettings, *, made: bool
) -> "SemanticCache":
    from redisvl.extensions.cache.llm import SemanticCache
    from redisvl.utils.vectorize import CustomVectorizer

    dimensions = settings.vectors.shape[1]
    return SemanticCache(
        name,
        vectorizer=CustomVectorizer(embed=lambda text: [0.0] * dimensions),
        filterable_fields=[{"name": "scope", "type": "tag"}],
        redis_client=client,
        create_index=not made,
    )
