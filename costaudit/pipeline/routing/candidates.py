"""The model to try: a live one, or answers in a file."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from costaudit.contracts.grades import PER_MTOK
from costaudit.costing.prices.lookup import price_of
from costaudit.errors import InputError, UsageError
from costaudit.levers.compression import Compressor
from costaudit.providers.address import Address, parse_address
from costaudit.providers.call import Message, ModelClient, Prompt
from costaudit.providers.models import MODELS, call_settings, model_at, parse_model
from costaudit.replay.upstream import Rate

_PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "bedrock": "aws"}
CHANGES = ("say", "compress", "keep")  # options of an address: the same model, asked otherwise
_HINT = (
    "Name openai:MODEL, anthropic:MODEL, bedrock:MODEL, https://HOST/v1?model=MODEL or "
    "recorded:FILE?model=MODEL."
)


@dataclass(frozen=True)
class Candidate:
    """A model that may answer instead of the logged one."""

    address: str  # as given
    model: str
    provider: str | None
    rate: Rate
    changes: str = ""  # how calls of the same model are sent otherwise, such as effort=low
    say: str = ""  # a sentence to add to the instructions
    compressor: Compressor | None = None  # of long texts

    @property
    def name(self) -> str:
        """Return the candidate's name for tables and the journal, without its address."""
        name = f"{self.provider}:{self.model}" if self.provider else self.model
        return f"{name} ({self.changes})" if self.changes else name

    def sent(self, prompt: Prompt) -> Prompt:
        """Return a prompt as the candidate gets it."""
        messages = prompt.messages
        if self.compressor:
            messages = tuple(
                replace(one, text=self.compressor.compressed(one.text))
                if one.role in ("user", "tool") else one
                for one in messages
            )  # fmt: skip
        if self.say:
            first = messages[0] if messages and messages[0].role == "system" else None
            text = f"{first.text}\n{self.say}" if first else self.say
            messages = (Message("system", text), *messages[1 if first else 0 :])
        return replace(prompt, messages=messages)

    @property
    def recorded(self) -> Path | None:
        """Return the file with the candidate's answers; None if it is a live model."""
        kind, _, rest = self.address.partition(":")
        return Path(rest.partition("?")[0]) if kind == "recorded" else None

    def client(self) -> ModelClient:
        """Return the client; raises UsageError or BackendError if it can't be used."""
        return model_at(parse_model(self.address, CHANGES))


def candidate_at(text: str, prices: Path | None, at: datetime) -> Candidate:
    """Return the candidate at an address; raises UsageError if it can't be used or priced."""
    kind, _, rest = text.partition(":")
    if kind == "recorded" and rest:
        address = parse_address(text, ("model",))
        model, provider = address.options.get("model", ""), None
        if not Path(rest.partition("?")[0]).is_file():
            raise InputError(f"There is no file {rest.partition('?')[0]}.", hint=_HINT)
    elif kind in MODELS and rest:
        address = parse_model(text, CHANGES)
        model = call_settings(address).model or ""
        provider = _PROVIDERS.get(kind)
    else:
        raise UsageError(f"{text!r} names no model to try.", hint=_HINT)
    if not model:
        raise UsageError(f"{text!r} does not name the model.", hint=_HINT)
    found = price_of(model, provider, at=at, overrides=prices)
    if found.rates.is_empty():
        near = ", ".join(found.suggestions)
        raise UsageError(
            f"The price of {model} is unknown, so its saving is unknown.",
            hint=f"Did you mean {near}? If not, set its rates with --prices." if near
            else "Set its rates with --prices.",
        )  # fmt: skip
    row = found.rates.row(0, named=True)
    provider = provider or row["provider"]
    rate = Rate(tuple(Decimal(row[name]) for name in PER_MTOK))
    return _changed(Candidate(text, model, provider, rate), address)


def _changed(candidate: Candidate, address: Address) -> Candidate:
    """Return a candidate with the changes of its address: effort, say, compress and keep."""
    told = {name: address.options[name] for name in CHANGES if address.options.get(name)}
    effort = address.options.get("effort")
    if not told and not effort:
        return candidate
    keep = address.number("keep", 0.5)
    if keep >= 1:
        raise UsageError(f"keep={keep:g} keeps all words.", hint="Write a share such as keep=0.5.")
    compress = told.get("compress", "")
    parts = {"effort": effort, "say": told.get("say"), "compress": Path(compress).name}
    if compress:
        parts["keep"] = f"{keep:g}"
    return replace(
        candidate,
        changes=", ".join(f"{name}={value}" for name, value in parts.items() if value),
        say=told.get("say", ""),
        compressor=Compressor(compress, keep) if compress else None,
    )


class RecordedAnswer(msgspec.Struct):
    """One line of a file of answers."""

    request_id: str
    answer: str
    input_tokens: int
    output_tokens: int


def recorded_answers(path: Path) -> dict[str, RecordedAnswer]:
    """Return answers by request id, from a file with one JSON object per line.

    Raises InputError with the number of a wrong line.
    """
    found: dict[str, RecordedAnswer] = {}
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}.", hint=_FIELDS) from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            one = msgspec.json.decode(line, type=RecordedAnswer)
        except msgspec.DecodeError as error:
            raise InputError(f"{path} line {number}: {error}.", hint=_FIELDS) from None
        if min(one.input_tokens, one.output_tokens) < 0:
            raise InputError(f"{path} line {number} has a token count below 0.", hint=_FIELDS)
        found[one.request_id] = one
    return found


_FIELDS: Any = "Each line needs request_id, answer, input_tokens and output_tokens."
