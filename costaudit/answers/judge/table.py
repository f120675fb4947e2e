"""The judges, by the name that `--judge` takes."""

from collections.abc import Callable

from costaudit.answers.judge.judge import Judge
from costaudit.answers.judge.settings import JudgeSettings, parse_judge
from costaudit.errors import UsageError


def _openai(settings: JudgeSettings) -> Judge:
    from costaudit.answers.judge.openai import OpenAIJudge

    return OpenAIJudge(settings)


def _anthropic(settings: JudgeSettings) -> Judge:
    from costaudit.answers.judge.anthropic import AnthropicJudge

    return AnthropicJudge(settings)


def _bedrock(settings: JudgeSettings) -> Judge:
    from costaudit.answers.judge.bedrock import BedrockJudge

    return BedrockJudge(settings)


JUDGES: dict[str, Callable[[JudgeSettings], Judge]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "bedrock": _bedrock,
}  # human judges fill in a file, see human.py


def judge_at(text: str) -> Judge:
    """Make the model judge that `--judge` names; raises UsageError for an unknown one."""
    settings = parse_judge(text)
    maker = JUDGES.get(settings.kind)
    if maker is None:
        raise UsageError(
            f"There is no judge named {settings.kind!r}.",
            hint="Give openai:MODEL, anthropic:MODEL, bedrock:MODEL or human:FILE.",
        )
    return maker(settings)
