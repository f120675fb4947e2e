"""A log in which every text is an attack: no verb prints anything active, in any format."""

import csv
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from tests.cli.conftest import write_log
from tests.conftest import Said
from tests.ingest.conftest import chat

ATTACKS = (
    "::error file=app.py,line=1::pwned",
    "##[error]pwned",
    "::add-mask::pwned",
    "\x1b[31mred\x1b[0m\x07",
    "\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "\x1b[2J\x1b[Hgone",
    "\x9b31mc1",
    "[bold red]rich[/bold red]",
    "[link=https://evil.example]rich[/link]",
    "[/]",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><svg onload=alert(1)>",
    '=HYPERLINK("https://evil.example")',
    "+1+cmd|' /C calc'!A0",
    "@SUM(A1)",
    "-2+3",
    "\u202egnp.exe",
    "a\u200bb\u2066c\u2069",
    "![x](https://evil.example/x.png)",
    "| a | b |\n|---|---|\n# head",
    "[link](javascript:alert(1))",
    "]]><x/>&#x0;",
    "one\r\n::error::two",
    "a\x00b\x08c\x0c",
    "{{ 7 * 7 }}{% for x in y %}",
    "$(touch pwned) `touch pwned`; touch pwned",
    "%s %(n)s {0} {name}",
)
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069]")


def hostile_records() -> list[dict[str, Any]]:
    """Return chats with each attack in each of their texts; each chat is asked twice."""
    made = []
    for n, attack in enumerate(ATTACKS * 2):
        turned = ATTACKS[(n * 7 + 3) % len(ATTACKS)]
        record = chat(n, f"{attack} where is it?", answer=f"{turned} it is here.")
        record |= {"user": attack, "tenant": turned, "endpoint": attack, "conversation_id": turned}
        record["metadata"] = {"tags": [attack], attack: turned, "session_id": attack}
        request = record["request"] if isinstance(record.get("request"), dict) else record
        request["tools"] = [
            {"type": "function", "function": {"name": attack, "description": turned}}
        ]
        made.append(record)
    failing = chat(10_000, ATTACKS[0], answer="")
    failing["error"] = {"message": ATTACKS[0], "type": ATTACKS[1]}
    return [*made, failing]


class Elements(HTMLParser):
    """What a page would run or load."""

    def __init__(self, own_scripts: bool) -> None:
        super().__init__()
        self.found: list[str] = []
        self.own_scripts = own_scripts

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [tag] if tag in ("img", "iframe", "object", "embed") else []
        self.found += ["script"] if tag == "script" and not self.own_scripts else []
        self.found += [name for name, _ in attributes if name.startswith("on")]
        self.found += [
            str(value)
            for name, value in attributes
            if name in ("src", "href") and not str(value).startswith("#") and value != "data:,"
        ]


def check_lines(text: str, verb: str) -> None:
    """Check that no control character reaches the terminal, and no line is a CI command."""
    assert not _CONTROLS.search(text), (verb, _CONTROLS.findall(text)[:3])
    for line in text.splitlines():
        assert not line.lstrip().startswith("::"), (verb, line)
        assert "##[" not in line, (verb, line)


@pytest.fixture
def hostile_run(costaudit: Callable[..., Said], tmp_path: Path) -> str:
    folder = tmp_path / "[bold]::error::x"
    folder.mkdir()
    log = write_log(folder / "=1+1 <b>x\x1b[31m\u202e.jsonl", hostile_records())
    said = costaudit("analyze", str(log), "--out", "run", "--show-prompts")
    assert said.code == 0, said.err
    check_lines(said.out + said.err, "analyze")
    return "run"


VERBS = (
    ("doctor", "run"),
    ("spend", "run", "--by", "endpoint,tenant,user,provider,model,template,day,hour", "--all"),
    ("sweep", "run", "--show-prompts", "--all"),
    ("clusters", "run", "--show-prompts", "--all"),
    ("prefix", "run", "--show-prompts", "--all"),
    ("levers", "run", "--all"),
    ("claims", "run"),
    ("compare", "run", "run"),
    ("report", "run", "--format", "terminal"),
    ("replay", "run", "--cache", "memory://", "--speed", "max"),
    ("warm", "run", "--out", "answers.jsonl"),
    ("prices", ATTACKS[0]),
    ("analyze", ATTACKS[0]),
    ("gate", "run"),
    ("report", "run", "--where", f"endpoint={ATTACKS[3]}", "--format", "terminal"),
)


def test_no_verb_prints_what_acts(costaudit: Callable[..., Said], hostile_run: str) -> None:
    for arguments in VERBS:
        if arguments[0] == "report" and "--where" in arguments:
            continue
        said = costaudit(*arguments)
        assert said.code in (0, 2, 3, 4), (arguments, said.err)
        check_lines(said.out + said.err, " ".join(arguments))
        assert "Traceback" not in said.err
    assert not Path("pwned").exists()


@pytest.mark.parametrize("format", ["html", "md", "csv", "json", "focus"])
def test_every_format_of_a_report_is_inert(
    costaudit: Callable[..., Said], hostile_run: str, format: str
) -> None:
    path = Path(f"out.{format}")
    said = costaudit(
        "report", hostile_run, "--format", format, "--out", str(path), "--show-prompts"
    )
    assert said.code == 0, said.err
    text = path.read_text("utf-8")
    if format == "html":
        page = Elements(own_scripts=True)
        page.feed(text)
        assert page.found == []
        assert text.count("<script") == text.count("</script>") <= 3
    elif format == "json":
        assert json.loads(text)
    elif format in ("csv", "focus"):
        for row in csv.reader(io.StringIO(text)):
            for cell in row:
                number = re.fullmatch(r"-?[\d.,]+(e-?\d+)?", cell)
                assert number or not cell.startswith(("=", "+", "-", "@", "\t")), cell
                assert not _CONTROLS.search(cell)
    else:
        check_lines(text, format)
        page = Elements(own_scripts=False)
        page.feed(MarkdownIt("gfm-like", {"linkify": False}).render(text))
        assert page.found == []
