"""The model that is tried: a live one behind its client, or answers in a file."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from costaudit.contracts.grades import PER_MTOK
from costaudit.costing.prices.lookup import price_of
from costaudit.errors import InputError, UsageError
from costaudit.providers.address import parse_address
from costaudit.providers.call import ModelClient
from costaudit.providers.models import MODELS, call_settings, model_at, parse_model
from costaudit.replay.upstream import Rate

_PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "bedrock": "aws"}
_HINT = (
    "Name openai:MODEL, anthropic:MODEL, bedrock:MODEL, https://HOST/v1?model=MODEL or "
    "recorded:FILE?model=MODEL."
)


@dataclass(frozen=True)
class Candidate:
    """A model that could answer instead."""

    address: str  # as given
    model: str
    provider: str | None
    rate: Rate

    @property
    def name(self) -> str:
        """Name the candidate for tables and the journal, without its address."""
        return f"{self.provider}:{self.model}" if self.provider else self.model

    @property
    def recorded(self) -> Path | None:
        """Return the file that holds the candidate's answers, where it is not asked live."""
        kind, _, rest = self.address.partition(":")
        return Path(rest.partition("?")[0]) if kind == "recorded" else None

    def client(self) -> ModelClient:
        """Make the client; raises UsageError or BackendError where it can't be used."""
        return model_at(parse_model(self.address))


def candidate_at(text: str, prices: Path | None, at: datetime) -> Candidate:
    """Read a candidate's address; raises UsageError for one that can't be asked or priced."""
    kind, _, rest = text.partition(":")
    if kind == "recorded" and rest:
        address = parse_address(text, ("model",))
        model, provider = address.options.get("model", ""), None
        if not Path(rest.partition("?")[0]).is_file():
            raise InputError(f"There is no file {rest.partition('?')[0]}.", hint=_HINT)
    elif kind in MODELS and rest:
        model = call_settings(parse_model(text)).model or ""
        provider = _PROVIDERS.get(kind)
    else:
        raise UsageError(f"{text!r} names no model to try.", hint=_HINT)
    if not model:
        raise UsageError(f"{text!r} does not say which model it is.", hint=_HINT)
    found = price_of(model, provider, at=at, overrides=prices)
    if found.rates.is_empty():
        near = ", ".join(found.suggestions)
        raise UsageError(
            f"The price of {model} is not known, so what it would save is unknown.",
            hint=f"Did you mean {near}? Else give its rates with --prices." if near
            else "Give its rates with --prices.",
        )  # fmt: skip
    row = found.rates.row(0, named=True)
    provider = provider or row["provider"]
    return Candidate(text, model, provider, Rate(tuple(Decimal(row[name]) for name in PER_MTOK)))


class RecordedAnswer(msgspec.Struct):
    """One line of a file of answers."""

    request_id: str
    answer: str
    input_tokens: int
    output_tokens: int


def recorded_answers(path: Path) -> dict[str, RecordedAnswer]:
    """Read a file of answers, one JSON object a line, by the request that each is for.

    Raises InputError with the line that is wrong.
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
