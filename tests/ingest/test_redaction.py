"""Redaction writes nothing that identifies a person and keeps different values different."""

import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from costaudit.contracts.run_dir import RunDir
from costaudit.ingest.content.masking import Masking
from costaudit.ingest.content.redaction import (
    KEY_VARIABLE,
    Redaction,
    Redactor,
    key_path,
    redaction_of,
    route_of,
)
from costaudit.ingest.mapping.field_map import CONTENT, OTHERS, TEXTS
from tests.ingest.conftest import Ingest, chat, write_lines

KEY = b"k" * 32
MASK = Masking(KEY).mask


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def shape(text: str) -> str:
    """Return a text without the digits of its redaction tokens."""
    return re.sub(r"\[(\w+)-[0-9a-f]{8}\]", r"[\1]", text)


def contents(run: RunDir) -> str:
    """Return everything in a run directory's tables, staging included, as text."""
    tables = (".parquet", ".rows", ".blocks", ".segments", ".skips")
    paths = [path for path in sorted(run.path.rglob("*")) if path.suffix in tables]
    return "\n".join(json.dumps(pl.read_parquet(p).to_dicts(), default=str) for p in paths)


SECRETS = [
    "sk-proj-abcdefghijklmnopqrstuvwx",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "xoxb-123456789012-abcdefghij",
    "Bearer abcdefghijklmnopqrstuvwxyz.012345",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTYifQ.c2lnbmF0dXJlc2ln",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_never_reach_the_disk(ingested: Ingest, tmp_path: Path, secret: str) -> None:
    log = write_lines(tmp_path / "x.jsonl", [chat(1, f"my key is {secret} ok?")])
    run, _ = ingested(log)
    (text,) = (t for t in run.blocks()["text"] if t.startswith("my key"))
    assert re.fullmatch(r"my key is \[secret-[0-9a-f]{8}\] ok\?", text)
    assert json.dumps(secret)[1:-1] not in contents(run)


def test_words_that_only_look_like_secrets_stay() -> None:
    for text in ("a risk-averse task", "the AKIA brand", "sk-8 boards", "Bearer of news"):
        assert Masking(b"").mask_secrets(text) == text


def test_hashing_keeps_no_text_but_equality(ingested: Ingest, tmp_path: Path) -> None:
    records = [chat(n, "Where is Ada Lovelace?", user="ada@example.com") for n in range(2)]
    log = write_lines(tmp_path / "x.jsonl", records)
    open_run, _ = ingested(log, into="open")
    run, _ = ingested(log, into="hashed", redact="hash")
    assert "Lovelace" in contents(open_run)
    for private in ("Lovelace", "ada@example.com", "It is on its way"):
        assert private not in contents(run)
    rows = run.requests()
    assert rows["user"].n_unique() == 1
    assert rows["segments"][0].to_list() == rows["segments"][1].to_list()
    redacted = ("segments", "user", "answer_id", "request_id", "native_id")
    assert rows.drop(redacted).equals(open_run.requests().drop(redacted))
    assert rows["native_id"].n_unique() == 2
    tokens = [s["tokens"] for s in rows["segments"][0]]
    assert tokens == [s["tokens"] for s in open_run.requests()["segments"][0]]


def test_masking_hides_what_names_people() -> None:
    text = "Write to ada@example.com or +41 44 123 45 67, card 4111 1111 1111 1111, from 10.0.0.7."
    assert shape(MASK(text)) == "Write to [email] or [phone], card [card], from [ip]."
    people = pl.Series(["ada@example.com", None, "u-1"])
    assert [shape(n) if n else n for n in Redactor(Redaction("mask", KEY)).names(people)] == [
        "[email]", None, "u-1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "Order 118 costs 24.50 for 2 items",
        "on 2026-11-02, on 02/11/2026, on 02.11.26 and on 2026/11/02 10:30",
        "at 10:00:00 on 2026-11-02T10:00:00Z, which is 1793000000 or 1793000000123",
        "version 1.2.3 of gpt-4o-2024-08-06 and claude-3-5-sonnet-20241022",
        "$1,234,567.89, 1.234.567,89 €, 99.99 %, 12 x 12",
        "the years 1990 2000 2010, pages 12-34, 24/7, room 101",
        "std::vector<int> a::b, 10:30, 3:2, C++ and x=1",
        "sizes 10 20 30 cm, ISBN shelf 12",
    ],
)
def test_what_only_looks_like_an_identifier_stays(text: str) -> None:
    assert MASK(text) == text


def digits(chance: random.Random, size: int) -> str:
    return "".join(chance.choices("0123456789", k=size))


def with_luhn(body: str) -> str:
    """Append a payment card's check digit, computed by ISO/IEC 7812-1."""
    doubled = [int(d) * (2 if place % 2 == 0 else 1) for place, d in enumerate(reversed(body))]
    return body + str(-sum(d - 9 if d > 9 else d for d in doubled) % 10)


def iban(chance: random.Random, country: str, size: int) -> str:
    body = digits(chance, size)
    number = int(body + "".join(str(int(c, 36)) for c in country) + "00")
    return f"{country}{98 - number % 97:02d}{body}"


def cpf(chance: random.Random) -> str:
    body = [chance.randrange(10) for _ in range(9)]
    for size in (9, 10):
        rest = sum(d * (size + 1 - place) for place, d in enumerate(body)) % 11
        body.append(0 if rest < 2 else 11 - rest)
    a = "".join(map(str, body))
    return f"{a[:3]}.{a[3:6]}.{a[6:9]}-{a[9:]}"


def dni(chance: random.Random) -> str:
    number = chance.randrange(10**8)
    return f"{number:08d}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


def ssn(chance: random.Random) -> str:
    first = chance.choice([*range(1, 666), *range(667, 900)])
    return f"{first:03d}-{chance.randint(1, 99):02d}-{chance.randint(1, 9999):04d}"


IDENTIFIERS: dict[str, Callable[[random.Random], str]] = {
    "Spain, DNI": dni,
    "Spain, phone": lambda c: f"6{digits(c, 8)}",
    "Spain, phone in groups": lambda c: f"6{digits(c, 2)} {digits(c, 3)} {digits(c, 3)}",
    "USA, SSN": ssn,
    "USA, phone": lambda c: f"({c.randint(201, 989)}) {c.randint(201, 989)}-{digits(c, 4)}",
    "Brazil, CPF": cpf,
    "United Kingdom, NINO": lambda c: f"AB {digits(c, 2)} {digits(c, 2)} {digits(c, 2)} C",
    "United Kingdom, phone": lambda c: f"+44 20 {digits(c, 4)} {digits(c, 4)}",
    "Germany, IBAN": lambda c: iban(c, "DE", 18),
    "Germany, phone": lambda c: f"+49 30 {digits(c, 7)}",
    "Germany, tax number": lambda c: f"{c.randint(2, 9)}{digits(c, 10)}",
    "France, NIR": lambda c: (
        f"1 85 0{c.randint(1, 9)} 75 {digits(c, 3)} {digits(c, 3)} {digits(c, 2)}"
    ),
    "France, phone": lambda c: (
        "0" + " ".join([str(c.randint(1, 9)), *(digits(c, 2) for _ in "1234")])[0:]
    ),
    "Italy, codice fiscale": lambda c: f"RSSMRA{digits(c, 2)}A{digits(c, 2)}H{digits(c, 3)}X",
    "Mexico, CURP": lambda c: f"GARC{digits(c, 6)}HDFRRL0{digits(c, 1)}",
    "India, PAN": lambda c: f"ABCPE{digits(c, 4)}F",
    "India, Aadhaar": lambda c: f"{c.randint(2, 9)}{digits(c, 3)} {digits(c, 4)} {digits(c, 4)}",
    "Sweden, personnummer": lambda c: (
        (b := with_luhn(f"{digits(c, 2)}0315{digits(c, 3)}"))[:6] + "-" + b[6:]
    ),
    "Netherlands, BSN": lambda c: f"{c.randint(2, 9)}{digits(c, 8)}",
    "Poland, PESEL": lambda c: f"{c.randint(2, 9)}{digits(c, 10)}",
    "Switzerland, IBAN": lambda c: iban(c, "CH", 17),
    "Japan, phone": lambda c: f"+81-3-{digits(c, 4)}-{digits(c, 4)}",
    "card": lambda c: with_luhn(f"4{digits(c, 14)}"),
    "card in groups": lambda c: " ".join(re.findall("....", with_luhn(f"5{digits(c, 14)}"))),
    "e-mail": lambda c: f"ana.{digits(c, 3)}@mail.example",
    "e-mail in an address": lambda c: f"ana{digits(c, 3)}%40mail.example",
    "IPv4": lambda c: ".".join(str(c.randrange(256)) for _ in range(4)),
    "IPv6": lambda c: f"2001:db8:{c.randrange(1, 9999):x}::{c.randrange(1, 9999):x}",
    "AWS secret key": lambda c: "aB3" + "".join(c.choices("abcXYZ0189/+", k=37)),
    "password": lambda c: f"password={''.join(c.choices('abcXYZ0189!', k=9))}",
}


@pytest.mark.parametrize("kind", IDENTIFIERS)
def test_identifiers_are_found_and_each_has_a_token_of_its_own(kind: str) -> None:
    chance = random.Random(11)
    values = [IDENTIFIERS[kind](chance) for _ in range(200)]
    masked = [MASK(f"My number is {value}, thanks.") for value in values]
    missed = [value for value, text in zip(values, masked, strict=True) if value in text]
    assert len(missed) <= 0.02 * len(values), missed[:3]
    assert len(set(masked)) == len(set(values))
    assert masked == [MASK(f"My number is {value}, thanks.") for value in values]


def test_tokens_cannot_be_found_by_trying_all_values_without_the_key() -> None:
    assert MASK("call 612345678") != Masking(b"j" * 32).mask("call 612345678")


def test_each_run_has_a_key_of_its_own_that_lies_outside_of_it(tmp_path: Path) -> None:
    one, two = (redaction_of("hash", tmp_path / name) for name in ("one", "two"))
    assert one.key != two.key
    assert redaction_of("hash", tmp_path / "one") == one
    assert key_path().is_relative_to(tmp_path / "state")
    assert key_path().stat().st_mode & 0o077 == 0
    key_path().unlink()
    assert redaction_of("hash", tmp_path / "one").key != one.key
    assert redaction_of("none", tmp_path / "one").key == b""


def test_a_key_of_ones_own_makes_runs_comparable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "team")
    first = redaction_of("mask", tmp_path / "run")
    assert redaction_of("mask", tmp_path / "run") == first
    assert not key_path().exists()


@pytest.mark.parametrize(
    ("endpoint", "route"),
    [
        ("/chat?token=abc#top", "/chat"),
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/users/48213/chat", "/users/:id/chat"),
        ("/u/ana@mail.example/ask", "/u/:id/ask"),
        ("/t/9f8b6c1a-0b1c-4d5e-8f90-123456789abc", "/t/:id"),
        ("/openai/deployments/gpt-4o-mini/chat", "/openai/deployments/gpt-4o-mini/chat"),
        ("/v1beta/models", "/v1beta/models"),
        ("support-bot", "support-bot"),
    ],
)
def test_an_endpoint_becomes_a_route(endpoint: str, route: str) -> None:
    assert route_of(endpoint) == route


CANARIES = ("canary.person@mail.example", "612345987", "canary%40mail.example", "2001:db8::ca:1")


def planted() -> Iterator[dict[str, object]]:
    """Yield calls with identifiers in every text that a log can contain."""
    for number in range(3):
        who = CANARIES[number % len(CANARIES)]
        call = chat(
            number, f"I am {who}", system=f"Help {who}", answer=f"Hello {who}",
            user=who, tenant=who, conversation_id=f"c-{who}", request_id=f"r-{who}-{number}",
            endpoint=f"/ask/{who}?mail={who}", tags=[who], session_id=who,
            metadata={"user": who, "tags": [f"for {who}"]},
        )  # fmt: skip
        call["response"]["id"] = f"chat-{who}-{number}"
        if number == 1:
            call["status_code"] = 400
            call["error"] = {"message": f"no {who}", "code": who, "type": f"bad {who}"}
        yield call


@pytest.mark.parametrize("mode", ["mask", "hash"])
def test_no_byte_of_any_file_holds_what_was_planted(
    ingested: Ingest, tmp_path: Path, mode: str
) -> None:
    log = write_lines(tmp_path / f"log of {CANARIES[0]}.jsonl", list(planted()))
    run, summary = ingested(log, redact=mode)
    assert summary.kept + summary.merged == 3
    parts = [*CANARIES, "canary.person", "canary%40"]
    for path in [run.path, *run.path.rglob("*")]:
        assert not any(part in str(path.relative_to(tmp_path)) for part in parts), path
        if path.is_file():
            data = path.read_bytes()
            assert not [part for part in parts if part.encode() in data], path
    assert not [part for part in parts if part in contents(run)]
    _, again = ingested(log, redact=mode)
    assert again.read_bytes == 0  # it is recognised although its name is not stored


def test_masking_does_not_make_different_questions_equal(ingested: Ingest, tmp_path: Path) -> None:
    asked = [f"What does booking 61234{n:04d} of ana{n}@mail.example cost?" for n in range(28)]
    log = write_lines(tmp_path / "x.jsonl", [chat(n, text) for n, text in enumerate(asked)])
    run, _ = ingested(log, redact="mask")
    texts = [text for text in run.blocks()["text"] if text.startswith("What")]
    assert len(set(texts)) == 28
    assert not any("mail.example" in text for text in texts)


@pytest.mark.parametrize("mode", ["mask", "hash"])
@pytest.mark.parametrize("value", ["canary@mail.example", "tier-of-canary@mail.example"])
def test_no_field_that_a_map_names_keeps_what_was_planted(
    ingested: Ingest, tmp_path: Path, mode: str, value: str
) -> None:
    planted = sorted({*TEXTS, *OTHERS, *CONTENT} - {"model", "convention", "ts"})
    record = dict.fromkeys(planted, value) | {"m": "gpt-4o", "in": 5, "out": 1}
    fields = tmp_path / "map.toml"
    fields.write_text(
        'model = "m"\ninput_tokens = "in"\noutput_tokens = "out"\n'
        + "".join(f'{name} = "{name}"\n' for name in planted)
    )
    log = write_lines(tmp_path / "log.jsonl", [record])
    run, summary = ingested(log, redact=mode, maps=(str(fields),))
    assert summary.kept == 1, summary.skip_reasons
    for path in run.path.rglob("*"):
        if path.is_file() and path.name != "manifest.json":
            assert b"canary" not in path.read_bytes(), path
    assert "canary" not in contents(run)


def test_words_and_values_made_here_stay(ingested: Ingest, tmp_path: Path) -> None:
    call = chat(1, "Hi") | {"region": "eu-west-1", "service_tier": "flex"}
    run, _ = ingested(write_lines(tmp_path / "x.jsonl", [call]), redact="hash")
    row = run.requests().row(0, named=True)
    clear, _ = ingested(tmp_path / "x.jsonl", into="clear")
    plain = clear.requests().row(0, named=True)
    kept = ("provider", "model", "region", "service_tier", "source", "usage_convention", "status",
            "usage_source", "finish_reason")  # fmt: skip
    assert [row[name] for name in kept] == [plain[name] for name in kept]
