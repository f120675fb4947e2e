"""What a model is asked, what it replies, and how it is called."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import msgspec

from costaudit.errors import BackendError

T = TypeVar("T")
DEFAULT_MAX_TOKENS = 1024  # asked for where the log does not say


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model called; the log leaves ids out, so they are numbered anew."""

    call_id: str
    name: str
    arguments: str  # JSON


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a prompt."""

    role: str  # system | user | assistant | tool
    text: str
    calls: tuple[ToolCall, ...] = ()  # of an assistant's message
    call_id: str = ""  # of a tool's message: which call it answers


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model or a proxy is asked."""

    model: str
    messages: tuple[Message, ...]
    temperature: float | None = None
    max_tokens: int | None = None  # as asked for; None where the log does not say
    tools: tuple[str, ...] = ()  # definitions, as JSON in the log's own shape
    tool_choice: str = ""  # JSON; "" where the log does not say
    response_format: str = ""  # JSON

    @property
    def output_limit(self) -> int:
        """Tokens that a model may answer with."""
        return self.max_tokens or DEFAULT_MAX_TOKENS


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What a model said, and what it took."""

    text: str
    tokens: tuple[int, ...]  # in the order of TOKEN_CLASSES, as billed
    latency_ms: float
    ttft_ms: float | None = None  # None where the answer was not streamed


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer, with what an OpenAI-style API says beside it."""

    answer: Answer
    response_id: str = ""
    headers: dict[str, str] = field(default_factory=dict)  # names in lower case
    body: dict[str, Any] = field(default_factory=dict)  # of the last chunk where it was streamed


@dataclass(frozen=True)
class CallSettings:
    """How a model is called."""

    model: str | None = None  # instead of each request's own
    base_url: str | None = None  # of a server of one's own; None: the provider's
    stream: bool = False
    timeout_s: float = 60.0
    retries: int = 4
    key_env: str | None = None  # environment variable that holds the key
    bounded: bool = True  # answers are cut at a limit even where the log names none

    def api_key(self, usual: str) -> str:
        """Read the key from the environment; raises BackendError where it is needed and unset."""
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
        """Ask once; raises CallError, or BackendError where no call can work."""

    def close(self) -> None:
        """Let connections go."""


def whole(chunks: Iterator[T]) -> Iterator[T]:
    """Yield what is streamed; whatever breaks a stream in the middle is a CallError.

    The SDKs pass on what their HTTP library raises there, and which library differs by release.
    """
    try:
        yield from chunks
    except Exception as error:
        raise CallError("broken-stream", f"broken-stream ({type(error).__name__})") from None
