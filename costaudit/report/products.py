"""The recommended similarity and TTL in the settings of products that cache by meaning.

For unit vectors the cosine distance is 1 - cos and the squared L2 distance is 2 - 2 cos.
"""

from collections.abc import Callable
from dataclasses import dataclass

_PLACES = 4  # digits of a setting; finer than any product compares


@dataclass(frozen=True)
class Product:
    """One product: its setting, its default and how to write another."""

    name: str
    setting: str
    default_similarity: float  # cosine of its default or documented example
    default_note: str  # where the default is from
    value: Callable[[float], float]  # cosine similarity → the product's own setting
    snippet: Callable[[str, int | None], str]  # setting, TTL in seconds → what to paste


@dataclass(frozen=True)
class Translation:
    """One product's setting for a similarity."""

    product: str
    setting: str
    value: str
    default_similarity: float
    default_note: str
    snippet: str


def _as_cosine(cosine: float) -> float:
    return cosine


def _as_distance(cosine: float) -> float:
    return 1 - cosine


def _as_half(cosine: float) -> float:
    """Map [-1, 1] to [0, 1]: GPTCache's rank over its range, the scores of Redis vector sets."""
    return (1 + cosine) / 2


def _line(start: str, ttl_s: int | None, end: str = ",") -> str:
    """Write a line for the TTL where there is one."""
    return "" if ttl_s is None else f"\n{start}{ttl_s}{end}"


def _redisvl(value: str, ttl_s: int | None) -> str:
    return f"""from redisvl.extensions.cache.llm import SemanticCache

cache = SemanticCache(
    name="llmcache",
    redis_url="redis://localhost:6379",
    distance_threshold={value},{_line("    ttl=", ttl_s)}
)"""


def _langcache(value: str, ttl_s: int | None) -> str:
    kept = _line("    cache.set(prompt=prompt, response=answer, ttl_millis=", ttl_s, "000)")
    return f"""from langcache import LangCache

with LangCache(server_url=SERVER_URL, cache_id=CACHE_ID, api_key=API_KEY) as cache:
    found = cache.search(prompt=prompt, similarity_threshold={value}){kept}"""


def _langcache_redis(value: str, ttl_s: int | None) -> str:
    ttl = "" if ttl_s is None else f", ttl={ttl_s}"
    return f"""from redisvl.extensions.cache.llm import LangCacheSemanticCache

cache = LangCacheSemanticCache(
    name="llmcache", cache_id=CACHE_ID, api_key=API_KEY, distance_scale="redis"{ttl}
)
found = cache.check(prompt=prompt, distance_threshold={value})"""


def _gptcache(value: str, ttl_s: int | None) -> str:
    note = "" if ttl_s is None else "  # GPTCache has no TTL"
    return f"""from gptcache import Config, cache
from gptcache.similarity_evaluation.distance import SearchDistanceEvaluation

cache.init(
    embedding_func=embedding.to_embeddings,
    data_manager=data_manager,  # FAISS
    similarity_evaluation=SearchDistanceEvaluation(),
    config=Config(similarity_threshold={value}),{note}
)"""


def _litellm(value: str, ttl_s: int | None) -> str:
    return f"""litellm_settings:
  cache: true
  cache_params:
    type: redis-semantic
    similarity_threshold: {value}{_line("    ttl: ", ttl_s, "")}"""


def _betterdb(value: str, ttl_s: int | None) -> str:
    ttl = "" if ttl_s is None else f", default_ttl={ttl_s}"
    return f"""from betterdb_semantic_cache import SemanticCache, SemanticCacheOptions

options = SemanticCacheOptions(client=client, embed_fn=embed, default_threshold={value}{ttl})
cache = SemanticCache(options)"""


def _sulci(value: str, ttl_s: int | None) -> str:
    ttl = "" if ttl_s is None else f", ttl_seconds={ttl_s}"
    return f"""from sulci import Cache

cache = Cache(backend="redis", threshold={value}{ttl})"""


def _portkey(value: str, ttl_s: int | None) -> str:
    threshold = f"SEMANTIC_CACHE_SIMILARITY_THRESHOLD={value}  # environment of the gateway"
    if ttl_s is None:
        return threshold
    age = f'{{"cache": {{"mode": "semantic", "max_age": {ttl_s}}}}}'
    return f"{threshold}\n{age}  # config of the requests"


def _khazad(value: str, ttl_s: int | None) -> str:
    ttl = "" if ttl_s is None else f", ttl={ttl_s}"
    return f"""import khazad

khazad.init(redis_url="redis://localhost:6379", threshold={value}{ttl})"""


PRODUCTS = (
    Product("RedisVL", "distance_threshold", 0.90, "code", _as_distance, _redisvl),
    Product("LangCache", "similarity_threshold", 0.90, "example", _as_cosine, _langcache),
    Product(
        "LangCache through RedisVL", "distance_threshold, redis scale", 0.90, "code",
        _as_distance, _langcache_redis,
    ),
    Product("GPTCache with FAISS", "similarity_threshold", 0.60, "code", _as_half, _gptcache),
    Product("LiteLLM", "similarity_threshold", 0.80, "examples", _as_cosine, _litellm),
    Product("khazad", "threshold", 0.80, "code, on Redis 8", _as_half, _khazad),
    Product(
        "Portkey", "SEMANTIC_CACHE_SIMILARITY_THRESHOLD", 0.95, "documentation",
        _as_cosine, _portkey,
    ),
    Product("BetterDB", "default_threshold", 0.90, "code", _as_distance, _betterdb),
    Product("sulci", "threshold", 0.85, "code", _as_cosine, _sulci),
)  # fmt: skip


def translate(similarity: float, ttl_s: float | None = None) -> tuple[Translation, ...]:
    """Write a cosine similarity, and a TTL, as every product wants them."""
    whole_s = None if ttl_s is None else max(1, round(ttl_s))
    rows = []
    for product in PRODUCTS:
        value = f"{round(product.value(similarity), _PLACES):.{_PLACES}f}".rstrip("0").rstrip(".")
        rows.append(
            Translation(
                product.name, product.setting, value, product.default_similarity,
                product.default_note, product.snippet(value, whole_s),
            )
        )  # fmt: skip
    return tuple(rows)
