"""redis://: an index of RedisVL's SemanticCache, with the application's own filterable fields."""

from collections.abc import Mapping, Sequence
from functools import reduce
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from costaudit.errors import BackendError, UsageError
from costaudit.providers.address import Address
from costaudit.replay.caches.redis_server import connect, speaking_to
from costaudit.replay.caches.redisvl import NEEDS
from costaudit.replay.warm import WarmAnswer
from costaudit.replay.warming.names import FIELDS, filled_name, names_in
from costaudit.replay.warming.places import crosses, owners_of
from costaudit.replay.warming.target import Checked, Embed, Filled, Separation

if TYPE_CHECKING:
    from redisvl.extensions.cache.llm import SemanticCache

OPTIONS = ("flavour", "timeout_s", "name", "fields", "ca", "cert", "cert_key", "service")
DEFAULT_NAME = "llmcache"  # RedisVL's own
OWN_FIELDS = {"prompt", "response", "prompt_vector", "inserted_at", "updated_at", "metadata"}
SEPARATOR = ","  # of RediSearch's tags


class RedisVLTarget:
    """Indices of RedisVL, one, or one for each value of the fields in the name's braces."""

    def __init__(
        self, address: Address, embed: Embed, min_similarity: float, scope: Sequence[str]
    ) -> None:
        self._address = address
        self._template = address.options.get("name", DEFAULT_NAME)
        self.name = address.printable
        self._embed = embed
        self._distance = max(0.0, 1 - min_similarity)
        self._scope = scope
        self._caches: dict[str, SemanticCache] = {}  # by the index's name
        self._keys: list[str] = []  # that were written

    def separation(self) -> Separation:
        """Connect, and return the tags of the index, or those that it will be made with."""
        with speaking_to(self._address, NEEDS):
            self._client = connect(self._address)
            self._fields = self._tags()  # tag of the index → field of the log
        named = names_in(self._template)
        self._separation = Separation(
            fields=(*named, *(one for one in self._fields.values() if one not in named)),
            folds_case=bool(self._fields),
            separators=SEPARATOR if self._fields else "",
        )
        return self._separation

    def fill(self, answers: Sequence[WarmAnswer]) -> Filled:
        """Store answers as SemanticCache does; an entry that is there is newer, and stays."""
        written, present = [], 0
        with speaking_to(self._address, NEEDS):
            for one in answers:
                cache, filters = self._cache(one.scope), self._filters(one.scope)
                if self._client.exists(_key(cache, one.question, filters)):
                    present += 1
                    continue
                self._keys.append(
                    cache.store(
                        one.question,
                        one.answer,
                        metadata={"request_id": one.request_id},
                        filters=filters or None,
                        ttl=None if one.ttl_s is None else max(1, int(one.ttl_s)),
                    )
                )
                written.append(one)
        return Filled(tuple(written), present)

    def check(
        self, filled: Sequence[WarmAnswer], others: Sequence[tuple[WarmAnswer, Mapping[str, str]]]
    ) -> Checked:
        """Look every question up with SemanticCache.check, within its tags."""
        found = other = missing = 0
        with speaking_to(self._address, NEEDS):
            self._caches.clear()  # new clients, which know nothing but the index
            for one in filled:
                served = self._served(one.question, one.scope)
                found += served == one.answer
                other += served is not None and served != one.answer
                missing += served is None
            owners = owners_of(filled, self._separation)
            crossed = sum(
                crosses(self._served(one.question, scope), scope, owners, self._separation)
                for one, scope in others
            )
        client = f"SemanticCache.check of redisvl {version('redisvl')}"
        return Checked(client, found, other, missing, len(others), crossed)

    def remove(self, filled: Sequence[WarmAnswer]) -> None:
        """Take out the keys that were written."""
        with speaking_to(self._address, NEEDS):
            for key in self._keys:
                self._client.unlink(key)
            self._keys.clear()

    def _served(self, question: str, scope: Mapping[str, str]) -> str | None:
        from redisvl.query.filter import Tag

        tags = [Tag(name) == value for name, value in self._filters(scope).items()]
        within = reduce(lambda one, two: one & two, tags) if tags else None
        rows = self._cache(scope).check(question, filter_expression=within)
        return str(rows[0]["response"]) if rows else None

    def _filters(self, scope: Mapping[str, str]) -> dict[str, str]:
        return {tag: scope.get(field, "") for tag, field in self._fields.items()}

    def _cache(self, scope: Mapping[str, str]) -> "SemanticCache":
        from redisvl.extensions.cache.llm import SemanticCache
        from redisvl.utils.vectorize import CustomVectorizer

        name = filled_name(self._template, scope)
        if name not in self._caches:
            embed = self._embed
            tags = [{"name": tag, "type": "tag"} for tag in self._fields]
            try:
                self._caches[name] = SemanticCache(
                    name,
                    distance_threshold=self._distance,
                    vectorizer=CustomVectorizer(embed=lambda text: embed(text).tolist()),
                    filterable_fields=tags or None,
                    redis_client=self._client,
                )
            except ValueError:
                raise _another_schema(name, self.name, len(np.asarray(embed("text")))) from None
        return self._caches[name]

    def _tags(self) -> dict[str, str]:
        """Return the index's tags with the log's fields that they hold."""
        said = self._address.options.get("fields")
        given = _given_fields(said or "")
        existing = self._existing_tags()
        if existing is None:
            if said is not None:
                return given
            named = names_in(self._template)
            return {one: one for one in self._scope if one not in named}
        tags = {tag: given.get(tag, tag) for tag in existing}
        unknown = [tag for tag, field in tags.items() if field not in FIELDS]
        absent = [tag for tag in given if tag not in existing]
        if unknown or absent:
            raise UsageError(
                f"The index of {self.name} has the tags {', '.join(existing) or 'none'}.",
                hint="Say which field of the log each of them holds: "
                f"fields=TAG:FIELD, where FIELD is one of {', '.join(FIELDS)}.",
            )
        return tags

    def _existing_tags(self) -> list[str] | None:
        """Return the tags of the index that is there, in its order; None where there is none."""
        from redisvl.index import SearchIndex

        listed = [one.decode() for one in self._client.execute_command("FT._LIST")]
        pattern = self._template.partition("{")[0]
        same = [one for one in listed if one == self._template]
        if names_in(self._template):
            same = sorted(one for one in listed if one.startswith(pattern) and pattern)
        if not same:
            return None
        fields = SearchIndex.from_existing(same[0], redis_client=self._client).schema.fields
        kinds = {name: str(one.type) for name, one in fields.items() if name not in OWN_FIELDS}
        other = [name for name, kind in kinds.items() if not kind.lower().endswith("tag")]
        if other or "prompt_vector" not in fields:
            raise BackendError(
                f"{self.name} has an index {same[0]} that is no semantic cache of tags"
                f"{': ' + ', '.join(other) if other else ''}.",
                hint="Name another index: redis://HOST?name=INDEX.",
            )
        return list(kinds)


def _given_fields(text: str) -> dict[str, str]:
    """Read tenant,customer:tenant as tag → field; `none` is no field."""
    found = {}
    for part in text.split(","):
        tag, _, field = part.strip().partition(":")
        if tag and tag != "none":
            found[tag] = field or tag
    unknown = [field for field in found.values() if field not in FIELDS]
    if unknown:
        raise UsageError(
            f"fields={text} names {unknown[0]!r}, which is no field of a log.",
            hint=f"Choose from {', '.join(FIELDS)}, as FIELD or TAG:FIELD.",
        )
    return found


def _key(cache: "SemanticCache", prompt: str, filters: dict[str, str]) -> str:
    from redisvl.redis.utils import hashify

    index: Any = cache.index
    return str(index.key(hashify(prompt, filters or None)))


def _another_schema(name: str, where: str, dimensions: int) -> BackendError:
    return BackendError(
        f"{where} has an index {name} of another schema than {dimensions} dimensions in float32.",
        hint="Give the embedder that the application uses with --embedder, or another index with "
        "?name=INDEX.",
    )
