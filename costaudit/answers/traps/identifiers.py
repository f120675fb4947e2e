"""Order numbers, codes, addresses and versions: strings that name one thing."""

import re

_PATTERNS = (  # what stands in every match, where 0 is any digit, and the pattern
    ("@", re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")),
    ("://", re.compile(r"\bhttps?://[^\s)\]>\"']+[^\s)\]>\"'.,;:!?]")),
    ("-", re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")),
    ("0", re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")),
    ("0", re.compile(r"\bv\d+(?:\.\d+)*\b|(?<![\d.,])\d+\.\d+\.\d+(?:[-.]\w+)*\b")),
    ("0", re.compile(
        r"(?:\b(?:version|python|java|node|php|ruby|angular|react|ios|android|windows|macos|ubuntu"
        r"|debian|iphone|ipad|galaxy|pixel|playstation|error|code|codigo|status|http)"
        r"(?:\s+(?:code|number|de error))?\s+(?:de error\s+)?)(?P<id>\d+(?:\.\d+)*)\b"
    )),
    ("0", re.compile(
        r"(?:\b(?:order|invoice|ticket|case|tracking|reference|account|flight|room|gate|pedido"
        r"|factura|orden|caso|referencia|cuenta|vuelo|habitacion|puerta)"
        r"(?:\s+(?:number|no\.?|num\.?|numero|id|n\.?o?))?\s*[:#]?\s*)(?P<id>[a-z]{0,4}-?\d[\w-]{2,})\b"
    )),
    ("0", re.compile(
        r"\b(?:ending (?:in|with)|last (?:4|four) digits|que termina en|terminad[ao] en)\s+"
        r"(?P<id>\d{3,4})\b"
    )),
    ("#", re.compile(r"#\s?(?P<id>[a-z0-9][\w-]*)")),
    ("+", re.compile(r"(?<!\w)\+\d[\d\s().-]{6,}\d\b")),
    ("0", re.compile(r"\b(?=[a-z-]*\d)(?=[\d-]*[a-z])[a-z0-9]+(?:-[a-z0-9]+)*\b")),
    ("0", re.compile(r"(?<![\d.,$€£])\d{5,}(?![\d.,]\d|\s?(?:[$€£%]|euros?|dollars?|dolares))\b")),
    ("0", re.compile(r"\b\d{2,}-\d{3,}(?:-\d+)*\b")),
)  # fmt: skip
_DIGIT = re.compile(r"\d")
_NOT_CODES = re.compile(
    r"\d+(?:st|nd|rd|th|h|hrs?|min|mins?|s|sec|am|pm|k|m|km|cm|mm|kg|g|mg|lb|lbs|oz|l|ml|gb|mb|tb"
    r"|kb|px|w|kw|kwh|v|ft|eur|usd|gbp|x|d|mbps|gbps)"
    r"|q[1-4]|\d+-(?:day|days|hour|hours|month|months|week|weeks|year|years|minute|step|in)\w*"
    r"|(?:covid|mp|h|co|b|p)-?\d|[a-z]+-\d+-[a-z]+|\d+(?:d|g|x)|3d-?secure|2fa|\d+-[a-z]+"
)


def find_identifiers(plain: str) -> tuple[frozenset[str], str]:
    """Read the identifiers of a folded text, and give the text with them blanked out."""
    found: set[str] = set()

    def take(match: re.Match[str]) -> str:
        value = match.groupdict().get("id") or match.group()
        if _NOT_CODES.fullmatch(value):
            return match.group()
        found.add(re.sub(r"[\s().]", "", value) if value.startswith("+") else value)
        return " " * len(match.group())

    digits = _DIGIT.search(plain) is not None
    for sign, pattern in _PATTERNS:
        if digits if sign == "0" else sign in plain:
            plain = pattern.sub(take, plain)
    return frozenset(found), plain
