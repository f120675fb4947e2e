"""The judges behind providers' APIs, by the name that `--judge` takes."""

import json
import os
from collections.abc import Callable
from typing import Any

from costaudit.answers.judge.judge import (
    MAX_ANSWER_TOKENS,
    Judge,
    JudgeCallError,
    JudgeSettings,
    NoUsageError,
    Reply,
    parse_judge,
    whole,
)
from costaudit.contracts.plugins import made
from costaudit.errors import BackendError, UsageError


class AnthropicJudge:
    """A model that judges; the SDK retries with backoff and obeys Retry-After."""

    def __init__(self, settings: JudgeSettings) -> None:
        from anthropic import Anthropic

        self.name = settings.name
        self._settings = settings
        local = settings.base_url is not None
        self._client = Anthropic(
            api_key=os.environ.get(settings.key_env) or ("none" if local else settings.no_key()),
            base_url=settings.base_url,
            timeout=settings.timeout_s,
            max_retries=settings.retries,
        )

    def ask(self, rubric: str, prompt: str) -> Reply:
        """Ask once; raises JudgeCallError, or BackendError where no call can work."""
        import anthropic

        request: dict[str, Any] = {
            "model": self._settings.model,
            "system": rubric,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": MAX_ANSWER_TOKENS,
        }
        try:
            if self._settings.stream:
                with self._client.messages.stream(**request) as events:
                    for _ in whole(iter(events)):
                        continue
                    message = events.get_final_message()
                if message.stop_reason is None:
                    raise JudgeCallError("broken-stream")
            else:
                message = self._client.messages.create(**request)
            text = "".join(block.text for block in message.content if block.type == "text")
            usage = message.usage
            read = usage.cache_read_input_tokens or 0
            written = usage.cache_creation_input_tokens or 0
            return Reply(text, int(usage.input_tokens + read + written), int(usage.output_tokens))
        except anthropic.APIStatusError as error:
            if error.status_code in (401, 403):
                raise BackendError(
                    f"{self.name} refused the key: HTTP {error.status_code}.",
                    hint=f"Set {self._settings.key_env}.",
                ) from None
            raise JudgeCallError(f"http-{error.status_code}") from None
        except anthropic.APITimeoutError:
            raise JudgeCallError("timeout") from None
        except anthropic.APIConnectionError:
            raise JudgeCallError("connection") from None
        except (anthropic.AnthropicError, json.JSONDecodeError, AttributeError, TypeError):
            raise JudgeCallError("malformed") from None

    def close(self) -> None:
        """Let connections go."""
        self._client.close()


_REFUSED = ("AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException")


class BedrockJudge:
    """A model that judges; botocore retries with backoff and jitter."""

    def __init__(self, settings: JudgeSettings) -> None:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        self.name = settings.name
        self._settings = settings
        try:
            self._client = boto3.client(
                "bedrock-runtime",
                endpoint_url=settings.base_url,
                config=Config(
                    connect_timeout=settings.timeout_s,
                    read_timeout=settings.timeout_s,
                    retries={"mode": "standard", "total_max_attempts": settings.retries + 1},
                ),
            )
        except BotoCoreError as error:
            raise BackendError(
                f"Bedrock can't be used: {error}",
                hint="Set AWS_REGION and credentials, as for the AWS command line.",
            ) from None

    def ask(self, rubric: str, prompt: str) -> Reply:
        """Ask once; raises JudgeCallError, or BackendError where no call can work."""
        from botocore import exceptions

        request: dict[str, Any] = {
            "modelId": self._settings.model,
            "system": [{"text": rubric}],
            "messages": [{"role": "user", "content": [{"text": prompt}]}],
            "inferenceConfig": {"maxTokens": MAX_ANSWER_TOKENS},
        }
        try:
            if self._settings.stream:
                return self._streamed(self._client.converse_stream(**request)["stream"])
            response = self._client.converse(**request)
            parts = response["output"]["message"]["content"]
            return _reply("".join(part.get("text", "") for part in parts), response["usage"])
        except exceptions.ClientError as error:
            raise _refused(self.name, error) from None
        except exceptions.NoCredentialsError:
            raise BackendError(
                "Bedrock needs credentials.", hint="Set them as for the AWS command line."
            ) from None
        except (exceptions.ReadTimeoutError, exceptions.ConnectTimeoutError):
            raise JudgeCallError("timeout") from None
        except (exceptions.HTTPClientError, exceptions.ConnectionError):
            raise JudgeCallError("connection") from None
        except (exceptions.BotoCoreError, KeyError, TypeError, ValueError):
            raise JudgeCallError("malformed") from None

    def close(self) -> None:
        """Let connections go."""
        self._client.close()

    def _streamed(self, events: Any) -> Reply:
        parts: list[str] = []
        usage: dict[str, int] | None = None
        for event in whole(iter(events)):
            parts.append(event.get("contentBlockDelta", {}).get("delta", {}).get("text", ""))
            usage = event.get("metadata", {}).get("usage", usage)
        if usage is None:  # it is the last event
            raise JudgeCallError("broken-stream")
        return _reply("".join(parts), usage)


def _reply(text: str, usage: dict[str, int]) -> Reply:
    cached = usage.get("cacheReadInputTokens", 0) + usage.get("cacheWriteInputTokens", 0)
    return Reply(text, int(usage["inputTokens"] + cached), int(usage["outputTokens"]))


def _refused(name: str, error: Any) -> Exception:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _REFUSED:
        return BackendError(
            f"{name} refused the call: {code}.",
            hint="Grant bedrock:InvokeModel for this model, or renew the credentials.",
        )
    return JudgeCallError(f"http-{status}")


class OpenAIJudge:
    """A model that judges; the SDK retries with backoff and obeys Retry-After."""

    def __init__(self, settings: JudgeSettings) -> None:
        from openai import OpenAI

        self.name = settings.name
        self._settings = settings
        local = settings.base_url is not None
        self._limit_name = "max_tokens" if local else "max_completion_tokens"
        self._client = OpenAI(
            api_key=os.environ.get(settings.key_env) or ("none" if local else settings.no_key()),
            base_url=settings.base_url,
            timeout=settings.timeout_s,
            max_retries=settings.retries,
        )

    def ask(self, rubric: str, prompt: str) -> Reply:
        """Ask once; raises JudgeCallError, or BackendError where no call can work."""
        import openai

        request: dict[str, Any] = {
            "model": self._settings.model,
            "messages": [
                {"role": "system", "content": rubric},
                {"role": "user", "content": prompt},
            ],
            self._limit_name: MAX_ANSWER_TOKENS,
        }
        try:
            if self._settings.stream:
                request |= {"stream": True, "stream_options": {"include_usage": True}}
                return self._streamed(self._client.chat.completions.create(**request))
            response = self._client.chat.completions.create(**request)
            return self._reply(response.choices[0].message.content, response.usage)
        except openai.APIStatusError as error:
            if error.status_code in (401, 403):
                raise BackendError(
                    f"{self.name} refused the key: HTTP {error.status_code}.",
                    hint=f"Set {self._settings.key_env}.",
                ) from None
            raise JudgeCallError(f"http-{error.status_code}") from None
        except openai.APITimeoutError:
            raise JudgeCallError("timeout") from None
        except openai.APIConnectionError:
            raise JudgeCallError("connection") from None
        except (openai.OpenAIError, json.JSONDecodeError, AttributeError, TypeError, IndexError):
            raise JudgeCallError("malformed") from None

    def close(self) -> None:
        """Let connections go."""
        self._client.close()

    def _streamed(self, chunks: Any) -> Reply:
        parts: list[str] = []
        usage, finished = None, False
        for chunk in whole(iter(chunks)):
            usage = chunk.usage or usage
            parts += [choice.delta.content or "" for choice in chunk.choices]
            finished = finished or any(choice.finish_reason for choice in chunk.choices)
        if not finished:
            raise JudgeCallError("broken-stream")
        return self._reply("".join(parts), usage)

    def _reply(self, text: str | None, usage: Any) -> Reply:
        if usage is None:
            raise NoUsageError(self.name)
        return Reply(text or "", int(usage.prompt_tokens), int(usage.completion_tokens))


def _openai(settings: JudgeSettings) -> Judge:

    return OpenAIJudge(settings)


def _anthropic(settings: JudgeSettings) -> Judge:

    return AnthropicJudge(settings)


def _bedrock(settings: JudgeSettings) -> Judge:

    return BedrockJudge(settings)


JUDGES: dict[str, Callable[[JudgeSettings], Judge]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "bedrock": _bedrock,
}  # human judges fill in a file, see human.py


def judge_at(text: str) -> Judge:
    """Make the judge that `--judge` names: a model behind an API, or a class of the reader's.

    Raises UsageError for an unknown one.
    """
    kind = text.partition(":")[0]
    if kind not in JUDGES:
        own: Judge | None = made("judges", text, ("name", "ask", "close"))
        if own is not None:
            return own
        raise UsageError(
            f"There is no judge named {kind!r}.",
            hint="Give openai:MODEL, anthropic:MODEL, bedrock:MODEL, human:FILE or file.py:Class.",
        )
    return JUDGES[kind](parse_judge(text))
