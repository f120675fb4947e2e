"""Making text from a log harmless for each place that it is written to."""

import re
import unicodedata

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # controls, bidi marks, lone surrogates
_KEPT = {"\n", "\t", "\u200d"}  # the joiner holds emoji and some scripts together
_COMMAND = re.compile(r"(?:^|(?<=\s)):(?=:[a-z])|#(?=#\[)")  # what a CI runner obeys in a log
_MARKDOWN = re.compile(r"([\\`*_\[\]|~$#])")
_REFERENCE = re.compile(r"(@|#|://|www\b)")
_BLANKS = re.compile(r"[^\S\xa0]+")
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def visible(text: str) -> str:
    """Drop marks that could hide, reorder or colour what is shown; break a CI runner's commands."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(
            char for char in text if char in _KEPT or unicodedata.category(char) not in _UNSEEN
        )
    return (
        _COMMAND.sub(lambda found: f"{found[0]} ", text) if "::" in text or "##[" in text else text
    )


def one_line(text: str) -> str:
    """Make text visible and put it on one line; a space that holds a number together is kept."""
    return _BLANKS.sub(" ", visible(text.replace("\r", " "))).strip()


def cut(text: str, length: int) -> str:
    """Cut text to `length` characters and say how many are left out."""
    if len(text) <= length:
        return text
    return f"{text[:length].rstrip()}… (+{len(text) - length:,} characters)"


def csv_cell(text: str) -> str:
    """Keep a spreadsheet from running a cell: formulas, tabs and line ends are defused."""
    clean = one_line(text)
    return f"'{clean}" if clean.startswith(_FORMULA) or text[:1] in ("\t", "\r") else clean


def markdown_text(text: str) -> str:
    """Escape Markdown and HTML, and break mentions, references and links."""
    clean = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    broken = _REFERENCE.sub(lambda found: f"{found[0]}\0", clean)
    return _MARKDOWN.sub(r"\\\1", broken).replace("\0", "<!-- -->")


def markdown_code(text: str) -> str:
    """Put text into a Markdown code span that it can't leave, table cells included."""
    clean = one_line(text).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall("`+", clean)), default=0) + 1)
    pad = " " if clean[:1] == "`" or clean[-1:] == "`" or not clean else ""
    return f"{fence}{pad}{clean}{pad}{fence}"
