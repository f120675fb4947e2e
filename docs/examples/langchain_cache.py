"""LangChain's RedisSemanticCache, looked up with the question as the prompt.

costaudit replay run --cache docs/examples/langchain_cache.py:LangChainCache?url=redis://localhost
"""

from langchain_core.embeddings import Embeddings
from langchain_core.outputs import Generation
from langchain_redis import RedisSemanticCache


class LangChainCache(Embeddings):
    """One index; `llm_string` is the model, as LangChain keeps models apart by their settings."""

    def __init__(self, url="redis://localhost:6379", name="costaudit-langchain", ttl=""):
        self.url, self.name, self.ttl = url, name, int(ttl) if ttl else None
        self.cache, self.vector = None, None

    def get(self, question, context):
        self.vector = context.vector
        if self.cache is None:
            distance = 1 - context.min_similarity
            self.cache = RedisSemanticCache(self, self.url, distance, self.ttl, self.name)
        found = self.cache.lookup(question, context.model)
        return found[0].text if found else None

    def set(self, question, answer, context):
        self.vector = context.vector
        self.cache.update(question, context.model, [Generation(text=answer)])

    def clear(self):
        if self.cache is not None:
            self.cache.cache.delete()
            self.cache = None

    def embed_query(self, text):
        return self.vector.tolist()

    def embed_documents(self, texts):
        return [self.embed_query(text) for text in texts]
