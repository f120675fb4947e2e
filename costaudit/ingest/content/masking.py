"""Find personal identifiers and secrets in a text, and replace each with its own token."""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

SECRET_MARKS = (
    "sk-", "AKIA", "ASIA", "ghp_", "gho_", "ghs_", "github_pat_", "xox", "AIza", "eyJ", "glpat-",
    "hf_", "-----BEGIN", "earer ", "r8_", "pplx-", "gsk_", "xai-", "_live_", "_test_", "npm_",
)  # fmt: skip
SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"
    r"|\b[Bb]earer [\w.~+/-]{20,}=*"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bAIza[\w-]{30,}"
    r"|\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}"
    r"|\bsk-[\w-]{20,}"
    r"|\bxox[abeoprs]-[\w-]{10,}"
    r"|\b(?:gh[opsu]_|github_pat_|glpat-|hf_|r8_|pplx-|gsk_|xai-|npm_)[\w-]{20,}",
    re.DOTALL,
)
ANY_MARK = "|".join(map(re.escape, SECRET_MARKS))
TOKEN_DIGITS = 8  # hex digits: two of 10,000 values share a token with a chance of 1 %


def luhn(digits: str) -> bool:
    """Return whether digits end in the check digit of payment cards."""
    total = 0
    for place, digit in enumerate(map(int, reversed(digits))):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def _iban(text: str) -> bool:
    """Return whether the check digits of an account number hold (ISO 7064, mod 97)."""
    compact = re.sub(r"\s", "", text)
    if not 15 <= len(compact) <= 34:
        return False
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1


def _address(text: str) -> bool:
    if not any(char.isdigit() for char in text):  # C++'s std::a
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


_SPANISH = "TRWAGMYFPDXBNJZSQVHLCKE"


def _spanish(text: str) -> bool:
    number = text[:-1].upper().translate(str.maketrans("XYZ", "012"))
    return _SPANISH[int(number) % 23] == text[-1].upper()


def _cpf(text: str) -> bool:
    digits = [int(char) for char in text if char.isdigit()]
    for size in (9, 10):
        weights = range(size + 1, 1, -1)
        rest = sum(d * w for d, w in zip(digits[:size], weights, strict=True)) * 10 % 11 % 10
        if rest != digits[size]:
            return False
    return True


def _card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    return 13 <= len(digits) <= 19 and luhn(digits)


def _always(_: str) -> bool:
    return True


_DATE = re.compile(
    r"(?:19|20)\d\d[-/.](?:0?[1-9]|1[0-2])[-/.](?:0?[1-9]|[12]\d|3[01])(?!\d)"
    r"|(?:0?[1-9]|[12]\d|3[01])[-/.](?:0?[1-9]|[12]\d|3[01])[-/.](?:19|20)?\d\d(?!\d)"
)
_EPOCH = re.compile(r"1[4-9]\d{8}(?:\d{3}|\d{6})?")  # seconds, ms or µs from 2014 to 2033


def _phone(text: str) -> bool:
    """Return whether 7 to 15 digits are a telephone number, not a date, a time or a price."""
    digits = re.sub(r"\D", "", text)
    years = all(re.fullmatch(r"(?:19|20)\d\d", group) for group in re.split(r"\D+", text))
    return 7 <= len(digits) <= 15 and not years and not _DATE.match(text)


def _long_number(text: str) -> bool:
    return not _EPOCH.fullmatch(text)


@dataclass(frozen=True)
class Detector:
    """One kind of identifier: a pattern that finds it, and a check that confirms it."""

    name: str  # of the token
    pattern: re.Pattern[str]  # we replace its group `value`, or the whole match
    confirms: Callable[[str], bool] = _always


def _detector(name: str, pattern: str, confirms: Callable[[str], bool] = _always) -> Detector:
    return Detector(name, re.compile(pattern), confirms)


DETECTORS = (
    _detector(
        "secret",
        r"(?i:\b(?:password|passwd|pwd|passphrase|contraseña|secret|token|api[_-]?key|"
        r"(?:aws_)?secret_access_key|access[_-]?token|client[_-]?secret)"
        r"[\"']?\s*[=:]\s*[\"']?)(?P<value>[^\s\"'&,;<>\[\]]{4,})",
    ),
    _detector("secret", r"(?<![\w/+])(?=[A-Za-z0-9/+]*[0-9])(?=[A-Za-z0-9/+]*[a-z])"
              r"(?=[A-Za-z0-9/+]*[A-Z])[A-Za-z0-9/+]{40}(?![\w/+=])"),
    _detector("email", r"(?i:[\w.+-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+)"),
    _detector("iban", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", _iban),
    _detector("id", r"\b(?:\d{8}|[XYZxyz]\d{7})[A-Za-z]\b", _spanish),
    _detector("id", r"\b(?!000|666|9\d\d)\d{3}-(?!00)\d\d-(?!0000)\d{4}\b"),  # USA
    _detector("id", r"\b\d{3}\.\d{3}\.\d{3}-\d\d\b", _cpf),  # Brazil
    _detector("id", r"(?i:\b(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?"
              r"\d\d ?\d\d ?\d\d ?[A-D]\b)"),  # United Kingdom
    _detector("id", r"(?i:\b[A-Z]{6}\d\d[A-EHLMPR-T]\d\d[A-Z]\d{3}[A-Z]\b)"),  # Italy
    _detector("id", r"(?i:\b[A-Z]{4}\d{6}[HM][A-Z]{5}[0-9A-Z]\d\b)"),  # Mexico, CURP
    _detector("id", r"(?i:\b[A-Z]{5}\d{4}[A-Z]\b)"),  # India, PAN
    _detector("id", r"\b(?:19|20)?\d{6}[-+]\d{4}\b",
              lambda text: luhn(re.sub(r"\D", "", text)[-10:])),  # Sweden
    _detector("id", r"\b[12] ?\d\d ?(?:0[1-9]|1[0-2]) ?\d[\dABab] ?\d{3} ?\d{3} ?\d\d\b"),  # France
    _detector("card", r"(?<![\w.-])(?:\d[ -]?){12,18}\d\b", _card),
    _detector("ip", r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)", _address),
    _detector("ip", r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])", _address),
    _detector("phone", r"(?<![\w.:/,-])\+\d{1,3}(?:[ .()/-]{0,2}\d{1,4}){2,6}\b", _phone),
    _detector("phone", r"(?<![\w.:/,$€£-])\(?\d{2,4}\)?(?:[ .-]\d{2,4}){2,4}\b(?![:.,]\d)", _phone),
    _detector("number", r"(?<![A-Za-z0-9.,$€£])\d{9,19}(?![\w]|[.,]\d)", _long_number),
)  # fmt: skip


class Masking:
    """Replace identifiers with tokens such as [phone-3f9a61c2]; equal values get equal tokens.

    The tokens are keyed hashes: without the key, nobody can find a value by trying all values.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def token(self, name: str, value: str) -> str:
        """Return the token of one value."""
        data = f"{name}\0{value}".encode("utf-8", "replace")
        digest = blake2b(data, key=self._key, digest_size=TOKEN_DIGITS // 2).hexdigest()
        return f"[{name}-{digest}]"

    def mask_secrets(self, text: str) -> str:
        """Replace API keys, tokens and private keys that have one of the known marks."""
        for mark in SECRET_MARKS:
            if mark in text:
                return SECRETS.sub(lambda found: self.token("secret", found[0]), text)
        return text

    def mask(self, text: str) -> str:
        """Replace secrets and personal identifiers."""
        text = self.mask_secrets(text)
        for detector in DETECTORS:
            text = detector.pattern.sub(partial(self._replaced, detector), text)
        return text

    def _replaced(self, detector: Detector, found: re.Match[str]) -> str:
        value = found.groupdict().get("value") or found[0]
        if value.startswith("[") or not detector.confirms(value):
            return found[0]
        before, _, after = found[0].rpartition(value)
        return f"{before}{self.token(detector.name, value)}{after}"
