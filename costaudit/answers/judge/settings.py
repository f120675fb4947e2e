"""How a judge is named on the command line."""

from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import parse_qsl, urlsplit

from costaudit.errors import UsageError

_OPTIONS = ("base_url", "stream", "timeout_s", "retries", "key_env")
_KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}


@dataclass(frozen=True)
class JudgeSettings:
    """Which model judges, and how to reach it."""

    kind: str  # openai | anthropic | bedrock | human
    model: str  # or the file of a human judge
    base_url: str | None = None
    stream: bool = False
    timeout_s: float = 60.0
    retries: int = 4
    key_env: str = ""  # environment variable that holds the key

    @property
    def name(self) -> str:
        """Name the judge without its address."""
        return f"{self.kind}:{self.model}"

    def no_key(self) -> NoReturn:
        """Say that the key is missing."""
        raise UsageError(
            f"{self.name} needs a key.", hint=f"Set the environment variable {self.key_env}."
        )


def parse_judge(text: str) -> JudgeSettings:
    """Read `openai:MODEL?base_url=...&stream=1` and its like; raises UsageError."""
    kind, _, rest = text.partition(":")
    if not rest:
        raise UsageError(
            f"{text!r} names no judge.",
            hint="Give openai:MODEL, anthropic:MODEL, bedrock:MODEL or human:FILE.",
        )
    if kind == "human":
        return JudgeSettings(kind, rest)
    model, _, query = rest.partition("?")
    options = dict(parse_qsl(query))
    unknown = [name for name in options if name not in _OPTIONS]
    if unknown:
        raise UsageError(
            f"The judge {kind}:{model} has no option {unknown[0]!r}.",
            hint=f"Known are {', '.join(_OPTIONS)}.",
        )
    base_url = options.get("base_url")
    if base_url is not None and urlsplit(base_url).scheme not in ("http", "https"):
        raise UsageError(
            f"The judge's base_url {base_url!r} is no web address.",
            hint="Give one such as https://host/v1.",
        )
    return JudgeSettings(
        kind=kind,
        model=model,
        base_url=base_url,
        stream=options.get("stream", "0") == "1",
        timeout_s=_number(options, "timeout_s", 60.0),
        retries=int(_number(options, "retries", 4.0)),
        key_env=options.get("key_env", _KEYS.get(kind, "")),
    )


def _number(options: dict[str, str], name: str, default: float) -> float:
    try:
        value = float(options.get(name, default))
    except ValueError:
        value = -1.0
    if value < 0:
        raise UsageError(f"The judge's {name} is {options[name]!r}.", hint="Give a number from 0.")
    return value
