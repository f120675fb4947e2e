"""The messages of the report that a catalogue must hold, found in its templates and modules."""

import ast
import re
from pathlib import Path

import costaudit.report
from costaudit.report import first_screen, page

REPORT = Path(costaudit.report.__file__).parent
_CALL = re.compile(r"""\b_\("((?:[^"\\]|\\.)*)\"""")
_FUNCTIONS = {"tr", "_n"}


def messages() -> set[str]:
    """Return every message that is given to `_`, `tr` or `_n`, or listed in a table of names."""
    found: set[str] = set()
    for path in (REPORT / "templates").iterdir():
        if path.suffix in (".j2", ".js"):
            found.update(_CALL.findall(path.read_text("utf-8")))
    for path in REPORT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in _FUNCTIONS:
                found.update(
                    str(one.value)
                    for argument in node.args
                    for one in ast.walk(argument)
                    if isinstance(one, ast.Constant) and isinstance(one.value, str)
                )
    found.update(name for _, name in page.SECTIONS)
    found.update(title for _, title in page._BREAKDOWNS)
    found.update(name.removesuffix("_rank") for name, _ in page._BREAKDOWNS)
    found.update(word for pair in page._SEVERITY_MEANING for word in pair)
    found.update(first_screen._RISKS.values())
    return {one for one in found if re.search("[A-Za-z]{2}", one)}
