"""anthropic:MODEL: Anthropic's Messages API."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from costaudit.errors import BackendError
from costaudit.providers.call import (
    Answer,
    CallError,
    CallSettings,
    Completion,
    Message,
    Prompt,
    whole,
)


class AnthropicClient:
    """A model behind Anthropic's API; the SDK retries with backoff and obeys Retry-After."""

    def __init__(self, settings: CallSettings) -> None:
        from anthropic import Anthropic

        self._settings = settings
        self._client = Anthropic(
            api_key=settings.api_key("ANTHROPIC_API_KEY"),
            base_url=settings.base_url,
            timeout=settings.timeout_s,
            max_retries=settings.retries,
        )

    def complete(self, prompt: Prompt) -> Completion:
        """Call the model once; raises CallError, or BackendError if no call can work."""
        request = self._request(prompt)
        started = time.perf_counter()
        ttft_ms: float | None = None
        with _explained():
            if self._settings.stream:
                with self._client.messages.stream(**request) as events:
                    for _ in whole(iter(events.text_stream)):
                        ttft_ms = ttft_ms or (time.perf_counter() - started) * 1000
                    message = events.get_final_message()
                if message.stop_reason is None:
                    raise CallError("broken-stream")
            else:
                message = self._client.messages.create(**request)
            text = "".join(block.text for block in message.content if block.type == "text")
            tokens = _tokens(message.usage)
        latency_ms = (time.perf_counter() - started) * 1000
        return Completion(Answer(text, tokens, latency_ms, ttft_ms))

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        system = "\n\n".join(m.text for m in prompt.messages if m.role == "system")
        request: dict[str, Any] = {
            "model": self._settings.model or prompt.model,
            "messages": [_message(m) for m in prompt.messages if m.role != "system"],
            "max_tokens": prompt.output_limit,
        }
        if system:
            request["system"] = system
        if prompt.tools:
            request["tools"] = [_tool(json.loads(text)) for text in prompt.tools]
        if prompt.temperature is not None:
            request["extra_body"] = {"temperature": min(1.0, prompt.temperature)}
        return request


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        result = {"type": "tool_result", "tool_use_id": message.call_id, "content": message.text}
        return {"role": "user", "content": [result]}
    if not message.calls:
        return {"role": message.role, "content": message.text}
    said = [{"type": "text", "text": message.text}] if message.text else []
    calls = [
        {"type": "tool_use", "id": c.call_id, "name": c.name, "input": json.loads(c.arguments)}
        for c in message.calls
    ]
    return {"role": message.role, "content": [*said, *calls]}


def _tool(definition: dict[str, Any]) -> dict[str, Any]:
    """Return a tool's definition in this API's form."""
    inner = definition.get("function", definition)
    schema = inner.get("input_schema") or inner.get("parameters") or {"type": "object"}
    if "name" not in inner or inner.get("type", "custom") not in ("custom", "function"):
        return definition
    return {
        "name": inner["name"],
        "description": inner.get("description", ""),
        "input_schema": schema,
    }


@contextmanager
def _explained() -> Iterator[None]:
    import anthropic

    try:
        yield
    except anthropic.APITimeoutError:
        raise CallError("timeout") from None
    except anthropic.APIStatusError as error:
        if error.status_code in (401, 403):
            raise BackendError(
                f"The Anthropic API refused the key: HTTP {error.status_code}.",
                hint="Set ANTHROPIC_API_KEY; the address option key_env names another variable.",
            ) from None
        raise CallError(f"http-{error.status_code}") from None
    except anthropic.APIConnectionError:
        raise CallError("connection") from None
    except (anthropic.AnthropicError, json.JSONDecodeError, AttributeError, TypeError):
        raise CallError("malformed") from None


def _tokens(usage: Any) -> tuple[int, ...]:
    """Return the usage, whose classes are disjoint already."""
    writes = int(usage.cache_creation_input_tokens or 0)
    split = usage.cache_creation
    hour = int(split.ephemeral_1h_input_tokens or 0) if split is not None else 0
    read = int(usage.cache_read_input_tokens or 0)
    return int(usage.input_tokens), read, writes - hour, hour, 0, int(usage.output_tokens)
