"""bedrock:MODEL: a judge behind Amazon Bedrock's Converse API."""

from typing import Any

from costaudit.answers.judge.judge import JudgeCallError, Reply, whole
from costaudit.answers.judge.rubric import MAX_ANSWER_TOKENS
from costaudit.answers.judge.settings import JudgeSettings
from costaudit.errors import BackendError

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
