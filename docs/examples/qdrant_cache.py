"""A semantic cache on Qdrant, in this process or on a server, that keeps tenants apart.

costaudit replay run --cache docs/examples/qdrant_cache.py:QdrantCache?location=http://localhost:6333
"""

from uuid import NAMESPACE_URL, uuid5

from qdrant_client import QdrantClient, models


class QdrantCache:
    """A point for each question and tenant; without a location it is Qdrant's local mode."""

    fields = ("tenant",)

    def __init__(self, location=":memory:", collection="costaudit"):
        self.client, self.collection = QdrantClient(location), collection
        self.ready = False

    def get(self, question, context):
        if not self.ready:
            size = models.VectorParams(size=len(context.vector), distance=models.Distance.COSINE)
            self.client.create_collection(self.collection, vectors_config=size)
            self.ready = True
        tenant = models.MatchValue(value=context.scope.get("tenant", ""))
        found = self.client.query_points(
            self.collection,
            query=context.vector.tolist(),
            query_filter=models.Filter(must=[models.FieldCondition(key="tenant", match=tenant)]),
            score_threshold=context.min_similarity,
            limit=1,
        ).points
        return found[0].payload["answer"] if found else None

    def set(self, question, answer, context):
        tenant = context.scope.get("tenant", "")
        point = models.PointStruct(
            id=str(uuid5(NAMESPACE_URL, f"{tenant}\0{question}")),
            vector=context.vector.tolist(),
            payload={"tenant": tenant, "question": question, "answer": answer},
        )
        self.client.upsert(self.collection, [point])

    def clear(self):
        if self.ready:
            self.client.delete_collection(self.collection)
            self.ready = False

    def close(self):
        self.client.close()
