"""The audit as one HTML file that loads nothing and opens from disk."""

import base64
import hashlib
import re
from contextlib import suppress
from decimal import Decimal
from difflib import SequenceMatcher
from html import unescape
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup, escape

from costaudit.contracts.audit import Audit, covered, in_words
from costaudit.contracts.prefix import breaker_name
from costaudit.report import language, numbers
from costaudit.report.csv import CsvReporter
from costaudit.report.escaping import visible
from costaudit.report.first_screen import headline
from costaudit.report.language import day, said, separated, tr
from costaudit.report.page import anchor, page_context
from costaudit.report.summary import Limits, bypass_line, severity, thinned
from costaudit.report.tables.invoice import invoice_tables
from costaudit.report.tables.policies import POLICIES, policy_how
from costaudit.report.tables.route import route_tables
from costaudit.report.tables.semantic import misses_line
from costaudit.report.tables.table import heading
from costaudit.report.tables.topics import sampled_clusters_line

_BREAK = re.compile("(‹[^›]*›)")
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
_CODE = re.compile(r"`([^`\n]+)`")
_MOST = 300  # words compared; longer texts are shown unmarked

Piece = tuple[str, bool]  # text, and whether the other side lacks it


def word_diff(left: str, right: str) -> tuple[list[Piece], list[Piece]]:
    """Split both texts into pieces that are shared or differ; joined, the pieces are the text."""
    a, b = _WORDS.findall(left), _WORDS.findall(right)
    if len(a) > _MOST or len(b) > _MOST:
        return [(left, False)], [(right, False)]
    pieces: tuple[list[Piece], list[Piece]] = ([], [])
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    for tag, a0, a1, b0, b1 in matcher.get_opcodes():
        for side, words in ((0, a[a0:a1]), (1, b[b0:b1])):
            pieces[side].extend(_marked("".join(words)) if tag != "equal" else _plain(words))
    return pieces


def _plain(words: list[str]) -> list[Piece]:
    return [("".join(words), False)] if words else []


def _marked(text: str) -> list[Piece]:
    """Mark what differs, leaving the blanks around it unmarked."""
    core = text.strip()
    if not core:
        return [(text, False)] if text else []
    before, _, after = text.partition(core)
    return [piece for piece in ((before, False), (core, True), (after, False)) if piece[0]]


def breaking(context: str) -> list[Piece]:
    """Split a breaker's context so that the part between ‹ › can be marked."""
    return [(piece, piece.startswith("‹")) for piece in _BREAK.split(context) if piece]


_TABLE = re.compile(
    r'<table class="(?:data|drill)[^"]*"[^>]*><thead><tr>(.*?)</tr></thead>', re.DOTALL
)
_CLASS = re.compile(r'(class="(?:data|drill))')
_HEAD = re.compile(r"<th([^>]*)>(.*?)</th>", re.DOTALL)
_MARKUP = re.compile(r'<abbr class="grade.*?</abbr>|<[^>]+>', re.DOTALL)  # a grade is no name
_MOST_COLUMNS, _MOST_WORDED = 5, 2  # of a table that fits a telephone


def with_cards(body: str) -> tuple[str, str]:
    """Mark the tables of a page that are too wide for a telephone; return their rules too.

    A rule names a column for all tables with the same columns. Text from a log is escaped, so
    that it can neither open a table nor name a column.
    """
    styles: dict[tuple[str, ...], str] = {}

    def marked(table: re.Match[str]) -> str:
        heads = _HEAD.findall(table[1])
        worded = sum('class="n"' not in attributes for attributes, _ in heads)
        if len(heads) <= _MOST_COLUMNS and worded <= _MOST_WORDED:
            return table[0]
        names = tuple(unescape(_MARKUP.sub("", text)).strip() for _, text in heads)
        style = styles.setdefault(names, f"cards-{len(styles)}")
        return _CLASS.sub(rf"\1 cards {style}", table[0], count=1)

    body = _TABLE.sub(marked, body)
    rules = "".join(
        f'.{style} td:nth-child({place})::before{{content:"{_written(name)}"}}'
        for names, style in styles.items()
        for place, name in enumerate(names, 1)
    )
    return body, f"@media screen and (max-width: 720px){{{rules}}}"


def _written(name: str) -> str:
    """Write a CSS string: whatever is neither a letter nor a digit by its number.

    The space behind a number ends it, and is not shown.
    """
    return "".join(one if one.isalnum() or one == " " else f"\\{ord(one):06x} " for one in name)


MOST_BYTES = 5_000_000
_MOST_DATA = MOST_BYTES // 3  # the page says once more in tables what its data say
_TEMPLATES = Path(__file__).parent / "templates"
_IN_SCRIPT = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}
_AMOUNT = re.compile(r"[−$]*[\d.,]+(?:%|\xa0?[%€]|[kMB])?")  # a cell that is set to the right
_FILTERS = (
    numbers.usd, numbers.usd_range, numbers.spent, numbers.per_mtok, numbers.share,
    numbers.share_range, numbers.count, numbers.tokens, numbers.milliseconds, numbers.seconds,
    numbers.similarity, numbers.byte_size, anchor, breaker_name, breaking, bypass_line, covered,
    in_words,
    day, said, separated, severity,
)  # fmt: skip


class HtmlReporter:
    """Write the whole report for people: sorted, searched, printed and read without a network."""

    name = "html"
    suffix = ".html"

    def render(self, audit: Audit) -> bytes:
        """Render at most 5 MB; for a larger audit, cut lists and say that they are cut."""
        environment = _environment()
        divisor = 1
        while True:
            cut, lengths = thinned(audit, Limits().divided(divisor))
            last = divisor > MOST_BYTES
            if last or len(msgspec.json.encode(cut)) <= _MOST_DATA:
                page = _page(environment, cut, lengths)
                if last or len(page) <= MOST_BYTES:
                    return page
            divisor *= 2


class _Compiled(FileSystemBytecodeCache):
    """Keep compiled templates in the templates' folder, as Python does, if it is writable."""

    def __init__(self) -> None:
        super().__init__(str(_TEMPLATES / "__pycache__"))
        with suppress(OSError):
            Path(self.directory).mkdir(exist_ok=True)

    def dump_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):
            super().dump_bytecode(bucket)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        bytecode_cache=_Compiled(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    environment.filters.update({one.__name__: one for one in _FILTERS})
    environment.filters |= {"differences": word_diff, "sortable": _sortable, "alike": _alike}
    environment.filters["prose"] = _prose
    environment.tests["amount"] = _AMOUNT.fullmatch
    environment.filters["invoice_tables"] = invoice_tables
    environment.filters |= {
        "route_tables": route_tables,
        "tr": tr,
        "heading": heading,
        "misses_line": misses_line,
        "sampled_clusters_line": sampled_clusters_line,
        "policy_name": POLICIES.__getitem__,
        "policy_how": policy_how,
    }
    environment.globals["_"] = _message
    return environment


def _message(message: str, **values: Any) -> Markup:
    """Translate a message of a template and fill its places with escaped values."""
    shown = {name: visible(one) if isinstance(one, str) else one for name, one in values.items()}
    return Markup(tr(message)) % shown


def _finalized(value: Any) -> Any:
    """Keep marks that hide or reorder text out of the page."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _prose(text: str) -> Markup:
    """Translate a sentence, and show words between backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(visible(said(text))))))


def _alike(value: float) -> str:
    """Write a similarity with two digits, for text that describes it and sets nothing."""
    return separated(f"{value:.2f}")


def _sortable(value: Decimal | float) -> str:
    """Write a number for the script that sorts by it."""
    return f"{value:.10g}"


def _page(environment: Environment, audit: Audit, lengths: dict[str, int]) -> bytes:
    body = environment.get_template("body.j2").render(page_context(audit, lengths))
    body, cards = with_cards(body)
    style = (_TEMPLATES / "report.css").read_text("utf-8") + cards
    script = _worded((_TEMPLATES / "report.js").read_text("utf-8"))
    csv = CsvReporter().render(audit).decode()
    text = environment.get_template("report.html.j2").render(
        audit=audit,
        body=body,
        style=style,
        language=language.style().language,
        headline=headline(audit),
        script=script,
        style_hash=_source_hash(style),
        script_hash=_source_hash(script),
        data=_in_script(audit),
        csv=_in_script(csv),
    )
    return text.encode()


_WORD = re.compile(r'_\("([^"]+)"\)')


def _worded(script: str) -> str:
    """Put the words of the language in use into the script, where it says _("...")."""
    return _WORD.sub(lambda found: msgspec.json.encode(tr(found[1])).decode(), script)


def _source_hash(source: str) -> str:
    """Name an inline source for the Content-Security-Policy."""
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"


def _in_script(value: object) -> str:
    """Encode as JSON that can't end the script element that holds it."""
    text = msgspec.json.encode(value).decode()
    for char, escaped in _IN_SCRIPT.items():
        text = text.replace(char, escaped)
    return text
