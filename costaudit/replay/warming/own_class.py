"""module:Class and file.py:Class: a cache of the user's own, filled through its `set`."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from costaudit.errors import BackendError, CostauditError, UsageError
from costaudit.replay.caches.own_class import Context, Hit, OwnClassCache
from costaudit.replay.stream import ReplayStream
from costaudit.replay.warm import WarmAnswer
from costaudit.replay.warming.names import FIELDS
from costaudit.replay.warming.places import crosses, owners_of
from costaudit.replay.warming.target import Checked, Embed, Filled, Separation


class OwnClassTarget:
    """A class with `get` and `set`; its attribute `fields` names what it keeps apart."""

    def __init__(
        self, cache: OwnClassCache, stream: ReplayStream, embed: Embed, min_similarity: float
    ) -> None:
        self.name = cache.traits.name
        self._cache = cache
        self._stream = stream
        self._embed = embed
        self._min_similarity = min_similarity

    def separation(self) -> Separation:
        """Read what the class keeps apart; without `fields` it is one place for all."""
        fields = tuple(getattr(self._cache.own, "fields", ()))
        unknown = [name for name in fields if name not in FIELDS]
        if unknown:
            raise UsageError(
                f"{self.name} keeps apart {unknown[0]!r}, which is no field of a log.",
                hint=f"Its attribute `fields` holds some of {', '.join(FIELDS)}.",
            )
        return Separation(fields)

    def fill(self, answers: Sequence[WarmAnswer]) -> Filled:
        """Call `set` for each; what it does with an entry that is there is the class's business."""
        for one in answers[:1]:
            self._served(one, one.scope)  # a class may make its index when it is first asked
        for one in answers:
            try:
                context = self._context(one, one.scope)
                self._cache.call(partial(_set, one=one, context=context))
            except CostauditError:
                raise
            except Exception as error:
                raise self._failed(error) from error
        return Filled(tuple(answers))

    def check(
        self, filled: Sequence[WarmAnswer], others: Sequence[tuple[WarmAnswer, Mapping[str, str]]]
    ) -> Checked:
        """Ask `get` for each."""
        served = [self._served(one, one.scope) for one in filled]
        found = sum(text == one.answer for text, one in zip(served, filled, strict=True))
        missing = served.count(None)
        owners = owners_of(filled, self.separation())
        crossed = sum(
            crosses(self._served(one, scope), scope, owners, self.separation())
            for one, scope in others
        )
        client = f"get of {self.name}"
        return Checked(client, found, len(filled) - found - missing, missing, len(others), crossed)

    def remove(self, filled: Sequence[WarmAnswer]) -> None:
        """Call `clear`, which removes what the object wrote, where the class has it."""
        if hasattr(self._cache.own, "clear"):
            self._cache.call(lambda own: own.clear())

    def _served(self, one: WarmAnswer, scope: Mapping[str, str]) -> str | None:
        context = self._context(one, scope)
        try:
            found = self._cache.call(lambda own: own.get(one.question, context))
        except CostauditError:
            raise
        except Exception as error:
            raise self._failed(error) from error
        return found.answer if isinstance(found, Hit) else found

    def _context(self, one: WarmAnswer, scope: Mapping[str, str]) -> Context:
        prompt = self._stream.prompts[one.index] if self._stream.prompts else None
        return Context(
            now_s=time.time(),  # the application looks up by its own clock
            request_id=one.request_id,
            answer=one.answer,
            scope=scope,
            model=scope.get("model", ""),
            messages=prompt.messages if prompt is not None else (),
            vector=self._embed(one.question),
            min_similarity=self._min_similarity,
            ttl_s=one.ttl_s,
            speed=1.0,
        )

    def _failed(self, error: Exception) -> BackendError:
        return BackendError(
            f"{self.name} failed with {type(error).__name__}: {error}.", hint="See to its class."
        )


def _set(own: Any, *, one: WarmAnswer, context: Context) -> Any:
    return own.set(one.question, one.answer, context)
