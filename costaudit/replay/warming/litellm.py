"""http(s)://…?product=litellm: a LiteLLM proxy, which writes its own cache as it answers."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from costaudit.errors import BackendError
from costaudit.providers.address import Address
from costaudit.providers.call import CallError, CallSettings, Completion
from costaudit.providers.openai import OpenAIClient
from costaudit.replay.caches.proxy import product_named, reach_proxy
from costaudit.replay.recorded_server import DEFAULT_PORT, RecordedServer
from costaudit.replay.stream import ReplayStream
from costaudit.replay.warm import WarmAnswer
from costaudit.replay.warming.names import filled_name, names_in
from costaudit.replay.warming.places import crosses, owners_of
from costaudit.replay.warming.target import Checked, Filled, Separation

OPTIONS = ("product", "namespace", "cache", "port", "timeout_s", "key_env", "retries")
PRODUCT = "litellm"
REACH_S = 5.0


class LiteLLMTarget:
    """A proxy with production's cache whose models lead to the log's answers while it is filled."""

    def __init__(
        self,
        address: Address,
        calls: CallSettings,
        stream: ReplayStream,
        headers: Mapping[str, str],
    ) -> None:
        self.name = address.printable
        self._address, self._stream, self._headers = address, stream, dict(headers)
        self._client = OpenAIClient(calls)
        self._product = product_named(PRODUCT)
        self._template = address.options.get("namespace", "")
        self._semantic = address.option("cache", ("exact", "semantic"), "exact") == "semantic"
        self._port = int(address.number("port", DEFAULT_PORT, zero=True))

    def separation(self) -> Separation:
        """Reach the proxy; an exact cache compares the whole request, a semantic one its model."""
        reach_proxy(self._address, REACH_S)
        named = names_in(self._template) if self._template else ()
        inherent = () if "model" in named else ("model",)
        self._separation = Separation((*named, *inherent), whole_prompt=not self._semantic)
        return self._separation

    def fill(self, answers: Sequence[WarmAnswer]) -> Filled:
        """Send each question; the proxy asks us, gets the log's answer, and keeps it."""
        written, present = [], 0
        with self._recorded() as server:
            for one in answers:
                done = self._ask(server, one, one.scope, store=True)
                if self._product.is_hit(done.headers, {}):
                    present += 1
                elif done.answer.text != one.answer:
                    raise self._not_ours()
                else:
                    written.append(one)
        return Filled(tuple(written), present)

    def check(
        self, filled: Sequence[WarmAnswer], others: Sequence[tuple[WarmAnswer, Mapping[str, str]]]
    ) -> Checked:
        """Ask again, and read the proxy's own mark of a hit."""
        with self._recorded() as server:
            served = [self._served(server, one, one.scope) for one in filled]
            owners = owners_of(filled, self._separation)
            crossed = sum(
                crosses(self._served(server, one, scope), scope, owners, self._separation)
                for one, scope in others
            )
        found = sum(text == one.answer for text, one in zip(served, filled, strict=True))
        missing = served.count(None)
        return Checked(
            f"the proxy {self.name}",
            found,
            len(filled) - found - missing,
            missing,
            len(others),
            crossed,
        )

    def remove(self, filled: Sequence[WarmAnswer]) -> None:
        """Leave it: a proxy removes its entries itself, when their time is up."""

    def _recorded(self) -> RecordedServer:
        return RecordedServer(self._stream, self._port, None)

    def _served(
        self, server: RecordedServer, one: WarmAnswer, scope: Mapping[str, str]
    ) -> str | None:
        done = self._ask(server, one, scope, store=False)
        return done.answer.text if self._product.is_hit(done.headers, {}) else None

    def _ask(
        self, server: RecordedServer, one: WarmAnswer, scope: Mapping[str, str], *, store: bool
    ) -> Completion:
        prompt = (self._stream.prompts or ())[one.index]
        controls: dict[str, Any] = {} if store else {"no-store": True}
        if store and one.ttl_s is not None:
            controls["ttl"] = max(1, int(one.ttl_s))
        if self._template:
            controls["namespace"] = filled_name(self._template, scope)
        with ExitStack() as waiting:
            server.expect(one.index, prompt)
            waiting.callback(server.forget, one.index, prompt)
            try:
                body = {"cache": controls} if controls else None
                return self._client.complete(prompt, self._headers or None, body)
            except CallError as error:
                raise BackendError(
                    f"{self.name} failed: {error.reason}.",
                    hint="Its models must lead to costaudit while it is filled: api_base: "
                    f"{server.url}, in a copy of its configuration that names the same cache.",
                ) from error

    def _not_ours(self) -> BackendError:
        return BackendError(
            f"{self.name} answered with something that the log does not hold.",
            hint="Start a copy of the proxy with the same cache whose models have api_base: "
            f"http://127.0.0.1:{self._port}/v1, so that it asks costaudit and no paid model.",
        )
