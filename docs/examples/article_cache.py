"""A semantic cache on RediSearch: an HNSW index, similarity 0.79, entries live for one hour.

costaudit replay run --cache docs/examples/article_cache.py:ArticleCache?url=redis://localhost:6379
"""

from hashlib import sha256

import redis
from redis.commands.search.field import NumericField, TextField, VectorField
from redis.commands.search.index_definition import IndexDefinition
from redis.commands.search.query import Query


class ArticleCache:
    """Keep question, answer and vector in a hash; expiry goes by the clock of the context."""

    def __init__(
        self, url="redis://localhost:6379", similarity="0.79", ttl="3600", prefix="cache:"
    ):
        self.redis, self.prefix = redis.Redis.from_url(url), prefix
        self.similarity, self.ttl = float(similarity), float(ttl)
        self.index = self.redis.ft(f"{prefix}idx")
        self.ready = False

    def get(self, question, context):
        self._create(len(context.vector))
        alive = f"(@until:[({context.now_s} inf])=>[KNN 1 @embedding $vec AS distance]"
        query = Query(alive).return_fields("response", "distance").dialect(2)
        found = self.index.search(query, {"vec": context.vector.tobytes()}).docs
        near = bool(found) and 1 - float(found[0].distance) >= self.similarity
        return found[0].response if near else None

    def set(self, question, answer, context):
        fields = {"query": question, "response": answer, "embedding": context.vector.tobytes()}
        key = self.prefix + sha256(question.encode()).hexdigest()[:16]
        self.redis.hset(key, mapping={**fields, "until": context.now_s + self.ttl})
        self.redis.expire(key, int(self.ttl))

    def clear(self):
        if self.ready:
            self.index.dropindex(delete_documents=True)
            self.ready = False

    def _create(self, dimensions):
        if not self.ready:
            kind = {"TYPE": "FLOAT32", "DIM": dimensions, "DISTANCE_METRIC": "COSINE"}
            vector = VectorField("embedding", "HNSW", kind)
            texts = (TextField("query"), TextField("response"), NumericField("until"))
            self.index.create_index((vector, *texts), definition=IndexDefinition([self.prefix]))
            self.ready = True
