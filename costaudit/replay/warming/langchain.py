"""redis://…?flavour=langchain: the RedisSemanticCache of LangChain, filled by a chat model."""

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from costaudit.errors import UsageError
from costaudit.providers.address import Address
from costaudit.providers.call import Message
from costaudit.replay.caches.own_class import named
from costaudit.replay.caches.redis_server import connect, speaking_to
from costaudit.replay.caches.redisvl import NEEDS
from costaudit.replay.stream import ReplayStream
from costaudit.replay.warm import WarmAnswer
from costaudit.replay.warming.names import filled_name, names_in
from costaudit.replay.warming.places import crosses, owners_of
from costaudit.replay.warming.target import Checked, Embed, Filled, Separation

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage
    from langchain_redis import RedisSemanticCache

OPTIONS = ("flavour", "timeout_s", "name", "llm", "ca", "cert", "cert_key", "service")
DEFAULT_NAME = "llmcache"  # LangChain's own


class _AskedError(Exception):
    """The cache has no answer: LangChain went on to the model."""


class LangChainTarget:
    """The cache of a chat model: it compares whole prompts, within the model's own settings."""

    def __init__(
        self, address: Address, stream: ReplayStream, embed: Embed, min_similarity: float
    ) -> None:
        if "llm" not in address.options:
            raise UsageError(
                "LangChain keeps answers apart by the model's settings, so the model is needed.",
                hint="Name the application's own chat model: "
                "redis://HOST?flavour=langchain&llm=my_app.py:llm.",
            )
        self.name = address.printable
        self._address, self._stream, self._embed = address, stream, embed
        self._distance = max(0.0, 1 - min_similarity)
        self._template = address.options.get("name", DEFAULT_NAME)
        self._llm: Any = _chat_model(address.options["llm"])
        self._caches: dict[str, RedisSemanticCache] = {}
        self._before: dict[str, set[bytes]] = {}  # keys that were there, by name

    def separation(self) -> Separation:
        """Connect; prompts are compared as a whole, and models by the settings of this one."""
        with speaking_to(self._address, NEEDS):
            self._client = connect(self._address)
            self._client.ping()
        model = getattr(self._llm, "model_name", None) or getattr(self._llm, "model", None)
        only = (("model", str(model)),) if model else ()
        self._separation = Separation(fields=names_in(self._template), only=only)
        return self._separation

    def fill(self, answers: Sequence[WarmAnswer]) -> Filled:
        """Let LangChain ask the model, which answers with what the log holds."""
        written, present = [], 0
        with speaking_to(self._address, NEEDS):
            for one in answers:
                cache = self._cache(one.scope)
                if self._asked(one, one.scope, None) == one.answer:
                    present += 1
                    continue
                cache.cache.set_ttl(None if one.ttl_s is None else max(1, int(one.ttl_s)))
                self._stored(cache, one)
                written.append(one)
        return Filled(tuple(written), present)

    def check(
        self, filled: Sequence[WarmAnswer], others: Sequence[tuple[WarmAnswer, Mapping[str, str]]]
    ) -> Checked:
        """Invoke the model without a model behind it: what answers is the cache."""
        with speaking_to(self._address, NEEDS):
            served = [self._asked(one, one.scope, None) for one in filled]
            owners = owners_of(filled, self._separation)
            crossed = sum(
                crosses(self._asked(one, scope, None), scope, owners, self._separation)
                for one, scope in others
            )
        found = sum(text == one.answer for text, one in zip(served, filled, strict=True))
        missing = served.count(None)
        client = f"invoke of a chat model, langchain-redis {version('langchain-redis')}"
        return Checked(client, found, len(filled) - found - missing, missing, len(others), crossed)

    def remove(self, filled: Sequence[WarmAnswer]) -> None:
        """Take out the keys that were not there before."""
        with speaking_to(self._address, NEEDS):
            for name, before in self._before.items():
                for key in self._client.scan_iter(match=f"{name}:*", count=1000):
                    if key not in before:
                        self._client.unlink(key)

    def _stored(self, cache: "RedisSemanticCache", one: WarmAnswer) -> None:
        """Store what LangChain itself would: asked with a cache that never answers."""
        unanswering: Any = _Writing(cache)
        self._invoke(one, unanswering, one.answer)

    def _asked(self, one: WarmAnswer, scope: Mapping[str, str], answer: str | None) -> str | None:
        return self._invoke(one, self._cache(scope), answer)

    def _invoke(self, one: WarmAnswer, cache: Any, answer: str | None) -> str | None:
        from langchain_core.messages import AIMessage
        from langchain_core.outputs import ChatGeneration, ChatResult

        def generate(*args: Any, **kwargs: Any) -> ChatResult:
            if answer is None:
                raise _AskedError
            return ChatResult(generations=[ChatGeneration(message=AIMessage(content=answer))])

        model = self._llm.model_copy()
        object.__setattr__(model, "cache", cache)
        object.__setattr__(model, "_generate", generate)
        try:
            said = model.invoke(_messages(self._prompt(one)))
        except _AskedError:
            return None
        return str(said.content)

    def _prompt(self, one: WarmAnswer) -> tuple[Message, ...]:
        prompts = self._stream.prompts
        return prompts[one.index].messages if prompts is not None else ()

    def _cache(self, scope: Mapping[str, str]) -> "RedisSemanticCache":
        from langchain_redis import RedisSemanticCache

        name = filled_name(self._template, scope)
        if name not in self._caches:
            self._before[name] = set(self._client.scan_iter(match=f"{name}:*", count=1000))
            self._caches[name] = RedisSemanticCache(
                embeddings=_embeddings(self._embed),
                distance_threshold=self._distance,
                name=name,
                redis_client=self._client,
            )
        return self._caches[name]


class _Writing:
    """A cache that only takes answers; it gets what LangChain passes to its own."""

    def __new__(cls, cache: "RedisSemanticCache") -> Any:
        from langchain_core.caches import BaseCache

        class Writing(BaseCache):
            def lookup(self, prompt: str, llm_string: str) -> None:
                return None

            def update(self, prompt: str, llm_string: str, return_val: Any) -> None:
                cache.update(prompt, llm_string, return_val)

            def clear(self, **kwargs: Any) -> None:
                """Leave what is there."""

        return Writing()


def _embeddings(embed: Embed) -> Any:
    from langchain_core.embeddings import Embeddings

    class Ours(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [embed(text).tolist() for text in texts]

        def embed_query(self, text: str) -> list[float]:
            values: list[float] = embed(text).tolist()
            return values

    return Ours()


def _chat_model(given: str) -> Any:
    """Return the chat model that a name leads to, or that a function of that name makes."""
    try:
        from langchain_core.language_models import BaseChatModel
        from langchain_redis import RedisSemanticCache  # noqa: F401
    except ImportError:
        raise UsageError(
            "LangChain is not installed here.", hint="pip install langchain-redis."
        ) from None
    made: Any = named(given)
    if not isinstance(made, BaseChatModel) and isinstance(made, Callable):  # type: ignore[arg-type]
        made = made()
    if not isinstance(made, BaseChatModel):
        raise UsageError(
            f"{given} is no chat model of LangChain.", hint="Name the one that your code invokes."
        )
    return made


def _messages(messages: Sequence[Message]) -> "list[BaseMessage]":
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

    kinds: dict[str, Callable[[str], BaseMessage]] = {
        "system": lambda text: SystemMessage(content=text),
        "user": lambda text: HumanMessage(content=text),
        "assistant": lambda text: AIMessage(content=text),
    }
    return [kinds[one.role](one.text) for one in messages if one.role in kinds]
