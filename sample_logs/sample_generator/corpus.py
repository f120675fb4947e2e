"""The hand-written questions, answers and facts, read from the content folder."""

import datetime as dt
import json
import random
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

CONTENT = Path(__file__).parent.parent / "content"
CHOICE = re.compile(r"\[([^\[\]]*\|[^\[\]]*)\]")


def expand(text: str, rng: random.Random) -> str:
    """Pick one wording for each [a|b]."""
    return CHOICE.sub(lambda match: rng.choice(match.group(1).split("|")), text)


def slots_of(wordings: list[str]) -> list[str]:
    """Name the values of the shop on which these answers depend."""
    text = " ".join(wordings)
    return [slot for slot in ("return_days", "email") if f"{{{slot}}}" in text]


@dataclass(frozen=True)
class Intent:
    """One question with its paraphrases and answer wordings, by language."""

    id: str
    kind: str  # faq | mid
    questions: dict[str, list[str]]
    answers: dict[str, list[str]]
    fact: str  # two intents with one fact have interchangeable answers
    trap_group: str = ""
    live: str = ""  # topic whose answer changes with time
    more: dict[str, tuple[str, str]] = field(default_factory=dict)  # the natural next question


@dataclass(frozen=True)
class Fact:
    """One version of an answer that changes with time."""

    topic: str
    version: str
    wordings: dict[str, list[str]]
    until: dt.datetime | None = None


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((CONTENT / name).read_text(encoding="utf-8"))


def _intents(names: Iterable[str], kind: str) -> list[Intent]:
    found = []
    for name in names:
        for row in _read(name)["intent"]:
            more = {
                language: (row[f"more_{language}"], row[f"more_answer_{language}"])
                for language in ("en", "es")
                if f"more_{language}" in row
            }
            found.append(
                Intent(
                    id=row["id"],
                    kind=kind,
                    questions={"en": row["en"], "es": row["es"]},
                    answers={"en": row["answers_en"], "es": row["answers_es"]},
                    fact=row.get("fact", row["id"]),
                    trap_group=row.get("trap_group", ""),
                    live=row.get("live", ""),
                    more=more,
                )
            )
    return found


@cache
def faqs() -> list[Intent]:
    """Return the 25 frequent intents."""
    return _intents(["faqs_a.toml", "faqs_b.toml"], "faq")


@cache
def mids() -> list[Intent]:
    """Return the less frequent intents."""
    return _intents(["mid_a.toml", "mid_b.toml"], "mid")


@cache
def tail() -> dict[str, Any]:
    """Return the parts of the one-off questions."""
    return _read("tail.toml")


@cache
def tools() -> list[dict[str, Any]]:
    """Return the eight tool definitions."""
    found: list[dict[str, Any]] = json.loads((CONTENT / "tools.json").read_text(encoding="utf-8"))
    return found


@cache
def system_template(endpoint: str) -> str:
    """Return an endpoint's instructions, followed by the shared handbook."""
    own = (CONTENT / "system" / f"{endpoint.rsplit('/', 1)[1]}.md").read_text(encoding="utf-8")
    handbook = (CONTENT / "system" / "handbook.md").read_text(encoding="utf-8")
    return f"{own}\n{handbook}"


@cache
def _facts(table: str) -> tuple[Fact, ...]:
    return tuple(
        Fact(
            topic=row.get("topic", table),
            version=row.get("version", row.get("state", "")),
            wordings={"en": row["en"], "es": row["es"]},
            until=row.get("until"),
        )
        for row in _read("live.toml")[table]
    )


def fact_at(topic: str, moment: dt.datetime) -> Fact:
    """Return the version of a topic that is true at a moment."""
    for fact in _facts("fact"):
        if fact.topic == topic and fact.until is not None and moment < fact.until:
            return fact
    raise LookupError(f"no fact for {topic} at {moment}")


def undated_fact(topic: str) -> Fact:
    """Return what an endpoint says that is not told the date."""
    return next(fact for fact in _facts("undated") if fact.topic == topic)


def order_state(state: str) -> Fact:
    """Return the wordings for one state of an order."""
    return next(fact for fact in _facts("order_state") if fact.version == state)
