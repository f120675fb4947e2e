"""The request to a model, its reply, and the settings of a call."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import msgspec

from costaudit.errors import BackendError

T = TypeVar("T")
DEFAULT_MAX_TOKENS = 1024  # if the log has no limit


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call of the model; the log has no ids, so they are numbered."""

    call_id: str
    name: str
    arguments: str  # JSON


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a prompt."""

    role: str  # system | user | assistant | tool
    text: str
    calls: tuple[ToolCall, ...] = ()  # of an assistant's message
    call_id: str = ""  # of a tool's message: the call that it answers


@dataclass(frozen=True, slots=True)
class Prompt:
    """The request to a model or a proxy."""

    model: str
    messages: tuple[Message, ...]
    temperature: float | None = None
    max_tokens: int | None = None  # as requested; None if unknown
    tools: tuple[str, ...] = ()  # definitions, as JSON in the log's own shape
    tool_choice: str = ""  # JSON; "" if unknown
    response_format: str = ""  # JSON

    @property
    def output_limit(self) -> int:
        """The most tokens of an answer."""
        return self.max_tokens or DEFAULT_MAX_TOKENS


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A model's answer, with its tokens and times."""

    text: str
    tokens: tuple[int, ...]  # in the order of TOKEN_CLASSES, as billed
    latency_ms: float
    ttft_ms: float | None = None  # None if the answer was not streamed


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer, with the headers and body of an OpenAI-style API."""

    answer: Answer
    response_id: str = ""
    headers: dict[str, str] = field(default_factory=dict)  # names in lower case
    body: dict[str, Any] = field(default_factory=dict)  # of the last chunk if it was streamed


@dataclass(frozen=True)
class CallSettings:
    """How a model is called."""

    model: str | None = None  # instead of each request's own
    base_url: str | None = None  # of your own server; None: the provider's
    stream: bool = False
    timeout_s: float = 60.0
    retries: int = 4
    key_env: str | None = None  # environment variable that holds the key
    effort: str | None = None  # of reasoning; None: the model's own
    bounded: bool = True  # limit answers even if the log has no limit

    def api_key(self, usual: str) -> str:
        """Return the key from the environment; raises BackendError if it is needed and not set."""
        name = self.key_env or usual
        key = os.environ.get(name, "")
        if not key and (self.base_url is None or self.key_env):
            raise BackendError(
                f"The environment variable {name} is not set.",
                hint=f"Put the key into {name}, or name another variable with key_env=NAME.",
            )
        return key or "none"


class CallError(Exception):
    """One call that failed after its retries; `reason` is a short class, such as http-500."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.reason = reason


class ModelClient(Protocol):
    """A model behind an API."""

    def complete(self, prompt: Prompt) -> Completion:
        """Call the model once; raises CallError, or BackendError if no call can work."""

    def close(self) -> None:
        """Close connections."""


def whole(chunks: Iterator[T]) -> Iterator[T]:
    """Yield streamed chunks; an error in the middle of a stream raises CallError.

    The SDKs pass on exceptions of their HTTP library, which differs by release.
    """
    try:
        yield from chunks
    except Exception as error:
        raise CallError("broken-stream", f"broken-stream ({type(error).__name__})") from None
