"""Find the messages that a catalogue must translate, in the templates and modules that use them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import costaudit
from costaudit.contracts import audit, forecast, grades, prefix, replay, sessions, spend
from costaudit.contracts.policies import SCOPE_FIELDS
from costaudit.contracts.requests import RESULTS
from costaudit.embed import words
from costaudit.ingest.calls.call import Call
from costaudit.ingest.mapping.influence import NAMES
from costaudit.report import comparison, first_screen, page, summary
from costaudit.report.language import of_the_log

PACKAGE = Path(costaudit.__file__).parent
REPORT = PACKAGE / "report"
_CALL = re.compile(r"""\b_\("((?:[^"\\]|\\.)*)\"""")
_FUNCTIONS = {"tr", "_n"}
_KINDS = (audit.Outcome, grades.Grade, spend.Covered, forecast.Factor, prefix.PromptPart,
          sessions.LifetimeName)  # fmt: skip
_WRITTEN_BY = ("report", "cli")  # folders whose modules call these functions

# Modules that write English sentences into an audit, each with its texts that no reader sees.
SENTENCES: dict[str, tuple[str, ...]] = {}


def messages() -> set[str]:
    """Return all messages: arguments of `_`, `tr`, `_n`, `counted` and `Table`, and names."""
    found: set[str] = set()
    for path in (REPORT / "templates").iterdir():
        if path.suffix in (".j2", ".js"):
            found.update(_CALL.findall(path.read_text("utf-8")))
    for folder in _WRITTEN_BY:
        for node in _nodes(PACKAGE / folder):
            if isinstance(node, ast.Call):
                found.update(_of_call(node))
    for node in _nodes(PACKAGE / "ingest"):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Skip":
            for reason in _literals(node.args[0]):
                found.update((reason, f"{{a}} {reason}"))
    found.update(_names())
    told = {one for one in found if re.search("[A-Za-z]{2}", one)}
    return told | {of_the_log(one) for one in told}


def _nodes(folder: Path) -> Iterator[ast.AST]:
    for path in folder.rglob("*.py"):
        yield from ast.walk(ast.parse(path.read_text("utf-8")))


def _of_call(node: ast.Call) -> Iterator[str]:
    called = getattr(node.func, "id", "")
    if called in _FUNCTIONS:
        yield from (text for one in node.args for text in _literals(one))
    elif called == "counted":
        for noun in _literals(node.args[1]):
            yield from (noun, f"{noun}s")
    elif called == "Table":
        told = [*node.args[:2], *(one.value for one in node.keywords if one.arg == "note")]
        yield from (text for one in told for text in _literals(one))


def _literals(node: ast.AST) -> Iterator[str]:
    """Yield the string literals of an expression; those inside f-strings aren't messages."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif not _is_composed(node):
        for one in ast.iter_child_nodes(node):
            yield from _literals(one)


def _is_composed(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return getattr(node.func, "id", "") not in _FUNCTIONS
    return isinstance(node, ast.JoinedStr)


def _names() -> set[str]:
    """Return the names that reports show, from the tables that define them."""
    return {
        *(name for _, name in page.SECTIONS),
        *(title for _, title in page._BREAKDOWNS),
        *(name.removesuffix("_rank") for name, _ in page._BREAKDOWNS),
        *(word for pair in page._SEVERITY_MEANING for word in pair),
        *first_screen._RISKS.values(),
        *summary._WORDS.values(),
        *sessions.CAUSE_NAMES.values(),
        *sessions.CAUSE_MENDS.values(),
        *replay.REASONS,
        *replay.REASONS.values(),
        *comparison._SIDES,
        *RESULTS,
        *SCOPE_FIELDS,
        *words._FREQUENT,
        *words._SCRIPTS,
        *(field.replace("_", " ") for field in Call.__struct_fields__ if field not in NAMES),
        *(name for kind in _KINDS for name in get_args(kind)),
    }


def composed_titles() -> list[str]:
    """Return the calls that build a table's title, columns or note with an f-string."""
    found = []
    for folder in _WRITTEN_BY:
        for node in _nodes(PACKAGE / folder):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Table":
                told = [*node.args[:2], *(k.value for k in node.keywords if k.arg == "note")]
                if any(isinstance(one, ast.JoinedStr) for part in told for one in ast.walk(part)):
                    found.append(ast.unparse(node)[:80])
    return found
