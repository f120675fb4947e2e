"""anthropic:MODEL: a judge behind Anthropic's Messages API."""

import json
import os
from typing import Any

from costaudit.answers.judge.judge import JudgeCallError, Reply, whole
from costaudit.answers.judge.rubric import MAX_ANSWER_TOKENS
from costaudit.answers.judge.settings import JudgeSettings
from costaudit.errors import BackendError


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
