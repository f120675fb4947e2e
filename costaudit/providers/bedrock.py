"""bedrock:MODEL: Amazon Bedrock's Converse API."""

import json
import time
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

REFUSED = ("AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException")


class BedrockClient:
    """A model behind Bedrock; botocore retries with backoff and jitter."""

    def __init__(self, settings: CallSettings) -> None:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        self._settings = settings
        try:
            self._client = boto3.client(
                "bedrock-runtime",
                endpoint_url=settings.base_url,
                config=Config(
                    connect_timeout=settings.timeout_s,
                    read_timeout=settings.timeout_s,
                    max_pool_connections=64,
                    retries={"mode": "standard", "total_max_attempts": settings.retries + 1},
                ),
            )
        except BotoCoreError as error:
            raise BackendError(
                f"Bedrock can't be used: {error}",
                hint="Set AWS_REGION and credentials, as for the AWS command line.",
            ) from None

    def complete(self, prompt: Prompt) -> Completion:
        """Call the model once; raises CallError, or BackendError if no call can work."""
        from botocore import exceptions

        request = self._request(prompt)
        started = time.perf_counter()
        try:
            if self._settings.stream:
                text, usage, ttft_ms = self._stream(request, started)
            else:
                reply = self._client.converse(**request)
                text, usage, ttft_ms = _text(reply["output"]["message"]), reply["usage"], None
            tokens = _tokens(usage)
        except exceptions.ClientError as error:
            raise _refused(error) from None
        except exceptions.NoCredentialsError:
            raise BackendError(
                "Bedrock needs credentials.", hint="Set them as for the AWS command line."
            ) from None
        except (exceptions.ReadTimeoutError, exceptions.ConnectTimeoutError):
            raise CallError("timeout") from None
        except (exceptions.HTTPClientError, exceptions.ConnectionError):
            raise CallError("connection") from None
        except (exceptions.BotoCoreError, KeyError, TypeError, ValueError):
            raise CallError("malformed") from None
        latency_ms = (time.perf_counter() - started) * 1000
        return Completion(Answer(text, tokens, latency_ms, ttft_ms))

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def _stream(
        self, request: dict[str, Any], started: float
    ) -> tuple[str, dict[str, int], float | None]:
        parts: list[str] = []
        usage: dict[str, int] | None = None
        ttft_ms: float | None = None
        for event in whole(iter(self._client.converse_stream(**request)["stream"])):
            if "contentBlockDelta" in event:
                ttft_ms = ttft_ms or (time.perf_counter() - started) * 1000
                parts.append(event["contentBlockDelta"]["delta"].get("text", ""))
            usage = event.get("metadata", {}).get("usage", usage)
        if usage is None:  # the last event
            raise CallError("broken-stream")
        return "".join(parts), usage, ttft_ms

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        inference: dict[str, Any] = {"maxTokens": prompt.output_limit}
        if prompt.temperature is not None:
            inference["temperature"] = min(1.0, prompt.temperature)
        system = [{"text": m.text} for m in prompt.messages if m.role == "system"]
        tools = [_tool(json.loads(text)) for text in prompt.tools]
        return {
            "modelId": self._settings.model or prompt.model,
            "messages": [_message(m) for m in prompt.messages if m.role != "system"],
            "inferenceConfig": inference,
            **({"system": system} if system else {}),
            **({"toolConfig": {"tools": tools}} if tools else {}),
        }


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        result = {"toolUseId": message.call_id, "content": [{"text": message.text}]}
        return {"role": "user", "content": [{"toolResult": result}]}
    said: list[dict[str, Any]] = [{"text": message.text}] if message.text else []
    calls = [
        {"toolUse": {"toolUseId": c.call_id, "name": c.name, "input": json.loads(c.arguments)}}
        for c in message.calls
    ]
    return {"role": message.role, "content": [*said, *calls]}


def _tool(definition: dict[str, Any]) -> dict[str, Any]:
    """Return a tool's definition in this API's form."""
    if "toolSpec" in definition:
        return definition
    inner = definition.get("function", definition)
    schema = inner.get("input_schema") or inner.get("parameters") or {"type": "object"}
    about = {"description": inner["description"]} if inner.get("description") else {}
    name = inner.get("name", "tool")
    return {"toolSpec": {"name": name, **about, "inputSchema": {"json": schema}}}


def _text(message: dict[str, Any]) -> str:
    return "".join(part.get("text", "") for part in message["content"])


def _refused(error: Any) -> Exception:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in REFUSED:
        return BackendError(
            f"Bedrock refused the call: {code}.",
            hint="Grant bedrock:InvokeModel for this model, or renew the credentials.",
        )
    return CallError(f"http-{status}")


def _tokens(usage: dict[str, int]) -> tuple[int, ...]:
    """Return the usage, whose classes are disjoint already; writes live five minutes."""
    read, written = usage.get("cacheReadInputTokens", 0), usage.get("cacheWriteInputTokens", 0)
    return usage["inputTokens"], read, written, 0, 0, usage["outputTokens"]
