"""A policy as paste-ready configuration of the products that can run it."""

from dataclasses import dataclass
from decimal import Decimal

from costaudit.contracts.policies import SemanticPolicy
from costaudit.simulate.semantic.scales import SCALES

_MODELS = {
    "minilm": "sentence-transformers/all-MiniLM-L6-v2",
    "mpnet": "sentence-transformers/all-mpnet-base-v2",
    "multilingual": "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
}
_SLIDES = "It renews an entry's TTL at each hit, which is the sliding kind."
_FIXED = "It keeps an entry for the TTL from its insertion, which is the fixed kind."
_NO_LIMIT = "It has no limit of its own: set maxmemory and maxmemory-policy on the server."


@dataclass(frozen=True)
class Configuration:
    """What to paste into one product, and where the product differs from the simulated policy."""

    product: str
    language: str  # python | yaml | json
    text: str
    differences: tuple[str, ...]


def configurations(policy: SemanticPolicy, dimensions: int) -> tuple[Configuration, ...]:
    """Write a policy for each product, with the threshold on the product's own scale."""
    return (
        _redisvl(policy),
        _langcache(policy),
        _gptcache(policy, dimensions),
        _litellm(policy),
        _portkey(policy),
    )


def on_scale(policy: SemanticPolicy, scale: str) -> str:
    """State a policy's threshold on a scale, with as few digits as needed."""
    cosine = min(Decimal(str(policy.min_similarity)), Decimal(1))
    return f"{SCALES[scale].value(cosine).normalize():f}"


def _redisvl(policy: SemanticPolicy) -> Configuration:
    fields = [f'        {{"name": "{name}", "type": "tag"}},' for name in policy.scope]
    scope = "\n".join(["    filterable_fields=[", *fields, "    ],"]) if fields else ""
    lines = [
        "from redisvl.extensions.cache.llm import SemanticCache",
        "from redisvl.utils.vectorize import HFTextVectorizer",
        "",
        "cache = SemanticCache(",
        '    name="llmcache",',
        f"    distance_threshold={on_scale(policy, 'redis')},  # cosine distance",
        f"    ttl={_whole_seconds(policy)},",
        f'    vectorizer=HFTextVectorizer(model="{_model(policy)}"),',
        *([scope] if scope else []),
        ")",
    ]
    differences = [_NO_LIMIT]
    if policy.ttl_s is not None and policy.ttl_kind == "fixed":
        differences.append(_SLIDES)
    if policy.scope:
        differences.append(
            "Nothing is scoped by itself: pass filters to store(), a filter_expression to check()."
        )
    return Configuration("RedisVL", "python", "\n".join(lines), tuple(differences))


def _langcache(policy: SemanticPolicy) -> Configuration:
    lines = [
        "from redisvl.extensions.cache.llm import LangCacheSemanticCache",
        "",
        'cache = LangCacheSemanticCache(cache_id="...", api_key="...",',
        f'                               ttl={_whole_seconds(policy)}, distance_scale="redis")',
        f"hits = cache.check(prompt, distance_threshold={on_scale(policy, 'redis')})",
        f"# LangCache itself calls this a similarity of {on_scale(policy, 'langcache')}",
    ]
    differences = ("The service embeds with its own model, so the threshold must be swept for it.",)
    return Configuration("Redis LangCache", "python", "\n".join(lines), differences)


def _gptcache(policy: SemanticPolicy, dimensions: int) -> Configuration:
    limit = policy.max_entries or 1_000_000
    eviction = policy.eviction.upper()
    lines = [
        "from gptcache import Config, cache",
        "from gptcache.embedding import SBERT",
        "from gptcache.manager import CacheBase, VectorBase, get_data_manager",
        "from gptcache.similarity_evaluation import SearchDistanceEvaluation",
        "",
        "cache.init(",
        f'    embedding_func=SBERT("{_model(policy)}").to_embeddings,',
        "    data_manager=get_data_manager(",
        '        CacheBase("sqlite"),',
        f'        VectorBase("faiss", dimension={dimensions}),',
        f"        max_size={limit},",
        f'        eviction="{eviction}",',
        "    ),",
        "    similarity_evaluation=SearchDistanceEvaluation(),",
        f"    config=Config(similarity_threshold={on_scale(policy, 'gptcache')}),",
        ")",
    ]
    differences = ["It compares the last message only and has no scope: make a cache for each."]
    if policy.ttl_s is not None:
        differences.append("It has no TTL.")
    return Configuration("GPTCache", "python", "\n".join(lines), tuple(differences))


def _litellm(policy: SemanticPolicy) -> Configuration:
    lines = [
        "litellm_settings:",
        "  cache: true",
        "  cache_params:",
        "    type: redis-semantic",
        f"    similarity_threshold: {on_scale(policy, 'cos')}",
        "    redis_semantic_cache_embedding_model: your-embedding-model  # as named in model_list",
    ]
    if policy.ttl_s is not None:
        lines.append(f"    ttl: {_whole_seconds(policy)}")
    return Configuration("LiteLLM", "yaml", "\n".join(lines), (_NO_LIMIT,))


def _portkey(policy: SemanticPolicy) -> Configuration:
    age = f', "max_age": {_whole_seconds(policy)}' if policy.ttl_s is not None else ""
    text = f'{{"cache": {{"mode": "semantic"{age}}}}}'
    threshold = on_scale(policy, "cos")
    differences = [
        f"The threshold is 0.95 unless Portkey sets another: ask for {threshold}.",
        "It leaves system prompts out of the key, and requests of more than four messages alone.",
    ]
    if policy.ttl_s is not None and policy.ttl_kind == "sliding":
        differences.append(_FIXED)
    return Configuration("Portkey", "json", text, tuple(differences))


def _model(policy: SemanticPolicy) -> str:
    return _MODELS.get(policy.embedder, policy.embedder)


def _whole_seconds(policy: SemanticPolicy) -> str:
    return "None" if policy.ttl_s is None else str(max(1, round(policy.ttl_s)))
