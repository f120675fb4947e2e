"""Find named entities and identifiers: names of a place, company, person, order or version."""

import re
import tomllib
from functools import cache
from importlib.resources import files

from costaudit.answers.traps.folding import PhraseSet, fold

_CAPITALISED = re.compile(
    r"(?P<start>^|[.!?:;\n¿¡\"“(>*-]\s*|\d[.)]\s+)?"
    r"(?<![\w'’])(?P<name>[A-ZÁÉÍÓÚÑÜ][\w'’-]*(?:\s+[A-ZÁÉÍÓÚÑÜ][\w'’-]*)*)"
)
_COMMON = frozenset(re.findall(r"\S+", """
 i i'm i've i'd i'll im pin atm app sms faq id ok url vat iva api tv pc pdf csv json http
 dear hello hi hey hola buenos buenas gracias thanks please usted ustedes vd mr mrs ms sr sra dni
 monday tuesday wednesday thursday friday saturday sunday january february march april may june july
 august september october november december utc gmt am pm cet est"""))  # fmt: skip
_MOSTLY = 0.5  # a text with a larger share of capitalised words is a title, or shouted


@cache
def _known() -> dict[str, str]:
    table = tomllib.loads(files(__package__).joinpath("names.toml").read_text("utf-8"))["names"]
    return {fold(word): row["is"] for row in table for word in row["words"]}


@cache
def _known_names() -> PhraseSet:
    return PhraseSet(list(_known()))


def find_entities(raw: str, folded: str) -> frozenset[str]:
    """Return known names, in any case, and other names that have a capital inside a sentence."""
    found = set()
    rest = raw
    names = _known_names()
    for match in names.pattern.finditer(folded) if names.may_match(folded) else ():
        if _is_name(raw, match):
            found.add(_known()[" ".join(match.group().split())])
            blank = "x" * (match.end() - match.start())  # keeps positions, and has no capital
            rest = rest[: match.start()] + blank + rest[match.end() :]
    return frozenset(found | _capitalised(rest))


def _is_name(raw: str, match: re.Match[str]) -> bool:
    """Return whether an ambiguous word, such as `us` or `edge`, is written as a name."""
    word = raw[match.start() : match.end()]
    if match.group() == "us":
        return word == "US"
    return match.group() not in {"ups", "wise", "edge", "rust", "swift"} or word != word.lower()


def _capitalised(raw: str) -> set[str]:
    words = raw.split()[1:]
    if sum(word[:1].isupper() for word in words) > _MOSTLY * len(words):
        return set()
    found = set()
    for match in _CAPITALISED.finditer(raw):
        name = match["name"]
        if match["start"] is not None:  # the first word of a sentence is always capitalised
            name = name.partition(" ")[2] if " " in name else ""
        parts = [fold(part).rstrip("'-").removesuffix("'s") for part in name.split()]
        known = " ".join(part for part in parts if part not in _COMMON and len(part) > 1)
        if known:
            found.add(known)
    return found


_PATTERNS = (  # a character that each match contains (0: any digit), and the pattern
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
    r"|(?:(?:0?[1-9]|[12]\d|3[01])[.-])?(?:0?[1-9]|1[0-2])[.-](?:19|20)\d\d"  # dates
    r"|(?:19|20)\d\d[.-](?:0?[1-9]|1[0-2])[.-](?:0?[1-9]|[12]\d|3[01])(?:t\d\d)?"
)


def find_identifiers(plain: str) -> tuple[frozenset[str], str]:
    """Return the identifiers in a folded text, and the text with them blanked out."""
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
