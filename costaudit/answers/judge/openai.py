"""openai:MODEL: a judge behind OpenAI's API, or any server that speaks it."""

import json
import os
from typing import Any

from costaudit.answers.judge.judge import JudgeCallError, NoUsageError, Reply, whole
from costaudit.answers.judge.rubric import MAX_ANSWER_TOKENS
from costaudit.answers.judge.settings import JudgeSettings
from costaudit.errors import BackendError


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
