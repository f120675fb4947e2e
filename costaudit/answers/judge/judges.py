"""The judge that `--judge` names: a model behind a provider's API, or a class of the reader's."""

from costaudit.answers.judge.judge import MAX_ANSWER_TOKENS, Judge, Reply
from costaudit.contracts.plugins import made
from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.errors import UsageError
from costaudit.providers.address import Address
from costaudit.providers.call import Message, Prompt
from costaudit.providers.models import call_settings, model_at, parse_model

PROVIDERS = ("openai", "anthropic", "bedrock")
KNOWN = "Name openai:MODEL, anthropic:MODEL, bedrock:MODEL, human:FILE or file.py:Class."


class ModelJudge:
    """A model that judges; calls that may pass are tried again with a growing pause."""

    def __init__(self, kind: str, address: Address) -> None:
        self._model = call_settings(address).model or ""
        self.name = f"{kind}:{self._model}"
        self._client = model_at(address)

    def ask(self, rubric: str, prompt: str) -> Reply:
        """Ask once; raises CallError, or BackendError where no call can work."""
        messages = (Message("system", rubric), Message("user", prompt))
        asked = Prompt(self._model, messages, max_tokens=MAX_ANSWER_TOKENS)
        answer = self._client.complete(asked).answer
        read = sum(answer.tokens[: len(INPUT_CLASSES)])
        return Reply(answer.text, input_tokens=read, output_tokens=answer.tokens[-1])

    def close(self) -> None:
        """Let connections go."""
        self._client.close()


def judge_at(text: str) -> Judge:
    """Make the judge that `--judge` names; raises UsageError for an unknown one."""
    kind, _, rest = text.partition(":")
    if kind in PROVIDERS:
        if not rest.partition("?")[0]:
            raise UsageError(f"{text!r} names no model.", hint=KNOWN)
        return ModelJudge(kind, parse_model(text))
    own: Judge | None = made("judges", text, ("name", "ask", "close"))
    if own is None:
        raise UsageError(f"There is no judge named {kind!r}.", hint=KNOWN)
    return own
