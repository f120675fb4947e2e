"""What every judge can do."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from costaudit.errors import BackendError

T = TypeVar("T")


@dataclass(frozen=True)
class Reply:
    """A judge's reply, and what it took."""

    text: str
    input_tokens: int
    output_tokens: int


class JudgeCallError(Exception):
    """A call that failed after its retries; other calls may work."""


class NoUsageError(BackendError):
    """A reply that doesn't say what it cost."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} tells no token usage, so spending can't be counted.",
            hint="Use a server that reports usage.",
        )


class Judge(Protocol):
    """Reads the rubric and a prompt, and replies."""

    @property
    def name(self) -> str:
        """Name the judge for tables and the store, without credentials."""

    def ask(self, rubric: str, prompt: str) -> Reply:
        """Ask once; raises JudgeCallError, or BackendError where no call can work."""

    def close(self) -> None:
        """Let connections go."""


def whole(chunks: Iterator[T]) -> Iterator[T]:
    """Yield what is streamed; whatever breaks a stream in the middle is a JudgeCallError.

    The SDKs pass on what their HTTP library raises there, and which library differs by release.
    """
    try:
        yield from chunks
    except Exception as error:
        raise JudgeCallError(f"broken-stream ({type(error).__name__})") from None
