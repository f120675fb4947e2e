"""openai:MODEL and https://HOST/v1: OpenAI's API, and every server with that API."""

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


class OpenAIClient:
    """Requests chat completions; the SDK retries with backoff and obeys Retry-After."""

    def __init__(self, settings: CallSettings) -> None:
        from openai import OpenAI

        self._settings = settings
        base_url = settings.base_url
        self._limit_name = "max_completion_tokens" if base_url is None else "max_tokens"
        self._where = base_url or "the OpenAI API"
        self._client = OpenAI(
            api_key=settings.api_key("OPENAI_API_KEY"),
            base_url=base_url,
            timeout=settings.timeout_s,
            max_retries=settings.retries,
        )

    def complete(
        self,
        prompt: Prompt,
        headers: dict[str, str] | None = None,
        body: dict[str, Any] | None = None,
    ) -> Completion:
        """Call the model once; `headers` and `body` are added to the usual ones."""
        request = self._request(prompt)
        started = time.perf_counter()
        with _explained(self._where):
            if self._settings.stream:
                request |= {"stream": True, "stream_options": {"include_usage": True}}
            response = self._client.chat.completions.with_raw_response.create(
                **request, extra_headers=headers, extra_body=body
            )
            found = dict(response.headers.items())
            lower = {name.lower(): value for name, value in found.items()}
            if self._settings.stream:
                return _read_stream(response.parse(), lower, started)
            return _read_whole(response.parse(), lower, started)

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        """Return the body of the logged request, without additions."""
        request: dict[str, Any] = {
            "model": self._settings.model or prompt.model,
            "messages": [_message(message) for message in prompt.messages],
        }
        if prompt.max_tokens is not None or self._settings.bounded:
            request[self._limit_name] = prompt.output_limit
        if self._settings.effort:
            request["reasoning_effort"] = self._settings.effort
        if prompt.temperature is not None:
            request["temperature"] = prompt.temperature
        if prompt.tools:
            request["tools"] = [_tool(json.loads(text)) for text in prompt.tools]
            if prompt.tool_choice:
                request["tool_choice"] = json.loads(prompt.tool_choice)
        if prompt.response_format:
            request["response_format"] = json.loads(prompt.response_format)
        return request

    def close(self) -> None:
        """Close connections."""
        self._client.close()


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
    if not message.calls:
        return {"role": message.role, "content": message.text}
    calls = [
        {
            "id": call.call_id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in message.calls
    ]
    return {"role": message.role, "content": message.text or None, "tool_calls": calls}


def _tool(definition: dict[str, Any]) -> dict[str, Any]:
    """Return a tool's definition in this API's form; Anthropic's and Bedrock's are converted."""
    if "function" in definition or "name" not in definition:
        return definition
    parameters = definition.get("parameters") or definition.get("input_schema") or {}
    function = {
        "name": definition["name"],
        "description": definition.get("description", ""),
        "parameters": parameters,
    }
    return {"type": "function", "function": function}


@contextmanager
def _explained(where: str) -> Iterator[None]:
    """Turn the SDK's exceptions into CallError, or BackendError if no call can work."""
    import openai

    try:
        yield
    except openai.APITimeoutError:
        raise CallError("timeout") from None
    except openai.APIStatusError as error:
        if error.status_code in (401, 403):
            raise BackendError(
                f"{where} refused the key: HTTP {error.status_code}.",
                hint="Set the key's environment variable; the address option key_env names it.",
            ) from None
        raise CallError(f"http-{error.status_code}") from None
    except (openai.APIResponseValidationError, json.JSONDecodeError, UnicodeDecodeError):
        raise CallError("malformed") from None
    except openai.APIConnectionError:
        raise CallError("connection") from None
    except openai.OpenAIError:
        raise CallError("error") from None


def _read_whole(response: Any, headers: dict[str, str], started: float) -> Completion:
    choices = getattr(response, "choices", None)
    if not choices or getattr(choices[0], "message", None) is None:
        raise CallError("malformed")
    body = response.model_dump()
    latency_ms = (time.perf_counter() - started) * 1000
    answer = Answer(choices[0].message.content or "", _tokens(body), latency_ms)
    return Completion(answer, response.id or "", headers, body)


def _read_stream(chunks: Any, headers: dict[str, str], started: float) -> Completion:
    parts: list[str] = []
    body: dict[str, Any] = {}
    ttft_ms: float | None = None
    finished = False
    for chunk in whole(iter(chunks)):
        body = {**body, **{k: v for k, v in chunk.model_dump().items() if v}}
        for choice in chunk.choices:
            finished = finished or choice.finish_reason is not None
            if choice.delta.content:
                ttft_ms = ttft_ms or (time.perf_counter() - started) * 1000
                parts.append(choice.delta.content)
    if not finished:
        raise CallError("broken-stream")
    latency_ms = (time.perf_counter() - started) * 1000
    answer = Answer("".join(parts), _tokens(body), latency_ms, ttft_ms)
    return Completion(answer, str(body.get("id", "")), headers, body)


def _tokens(body: dict[str, Any]) -> tuple[int, ...]:
    """Return the usage in disjoint classes; OpenAI's prompt tokens include cached ones."""
    usage = body.get("usage")
    if not usage:
        raise BackendError(
            "The model's answers have no usage, so spending can't be counted.",
            hint="Make the server report usage; for streams, set stream_options.include_usage.",
        )
    details = usage.get("prompt_tokens_details") or {}
    cached = int(details.get("cached_tokens") or 0)
    return int(usage["prompt_tokens"]) - cached, cached, 0, 0, 0, int(usage["completion_tokens"])
