"""Wide tables as cards on narrow screens: each cell beside the name of its column."""

import re
from html import unescape

_TABLE = re.compile(r'<table class="data[^"]*"[^>]*><thead><tr>(.*?)</tr></thead>', re.DOTALL)
_HEAD = re.compile(r"<th([^>]*)>(.*?)</th>", re.DOTALL)
_MARKUP = re.compile(r"<abbr.*?</abbr>|<[^>]+>", re.DOTALL)  # grades are marks, not names
_MOST_COLUMNS, _MOST_WORDED = 5, 2  # of a table that fits a telephone


def with_cards(body: str) -> tuple[str, str]:
    """Mark the tables of a page that are too wide for a telephone; also give their rules.

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
        return table[0].replace('class="data', f'class="data cards {style}', 1)

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
