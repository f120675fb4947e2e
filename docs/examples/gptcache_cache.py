"""GPTCache with SQLite and FAISS, as its documentation sets it up.

costaudit replay run --cache docs/examples/gptcache_cache.py:GPTCacheCache
Its score is 4 less the squared distance; 0.8 of 4, its default, is a cosine of 0.6.
"""

import tempfile
from pathlib import Path

from gptcache import Cache, Config
from gptcache.adapter.api import get, put
from gptcache.manager import CacheBase, VectorBase, get_data_manager
from gptcache.processor.pre import get_prompt
from gptcache.similarity_evaluation.distance import SearchDistanceEvaluation


class GPTCacheCache:
    """One cache for all; `similarity` is a cosine, `max_size` the entries before LRU evicts."""

    def __init__(self, similarity="", max_size="1000"):
        self.folder = tempfile.TemporaryDirectory()  # which GPTCache writes to at the end
        self.similarity, self.max_size = similarity, int(max_size)
        self.cache, self.vector = None, None

    def get(self, question, context):
        if self.cache is None:
            self._create(context)
        self.vector = context.vector
        return get(question, cache_obj=self.cache)

    def set(self, question, answer, context):
        self.vector = context.vector
        put(question, answer, cache_obj=self.cache)

    def _create(self, context):
        wanted = float(self.similarity or context.min_similarity)
        folder = Path(self.folder.name)
        manager = get_data_manager(
            CacheBase("sqlite", sql_url=f"sqlite:///{folder / 'cache.db'}"),
            VectorBase("faiss", dimension=len(context.vector), index_path=str(folder / "index")),
            max_size=self.max_size,
        )
        self.cache = Cache()
        self.cache.init(
            pre_embedding_func=get_prompt,
            embedding_func=lambda text, **_: self.vector,
            data_manager=manager,
            similarity_evaluation=SearchDistanceEvaluation(),
            config=Config(similarity_threshold=(4 - (2 - 2 * wanted)) / 4),
        )
