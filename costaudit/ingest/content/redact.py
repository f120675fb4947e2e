"""What of the content may reach the disk: all, masked, or hashes only; secrets never."""

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal

import polars as pl
from xxhash import xxh3_128_hexdigest

Redaction = Literal["none", "hash", "mask"]

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
PERSONAL = (
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "[email]"),
    (re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b"), "[iban]"),
    (re.compile(r"\b(?:\d[ -]?){12,18}\d\b"), "[card]"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"), "[ip]"),
    (re.compile(r"(?<![\w.])\+?\(?\d{2,4}\)?(?:[ .-]\d{2,4}){2,4}\b"), "[phone]"),
)


class Redactor:
    """Apply one redaction to contents and to the names of people."""

    def __init__(self, redaction: Redaction) -> None:
        self.redaction = redaction

    def identify(self, kind: str, text: str) -> str:
        """Name a block: 32 hex digits of its kind and content, one-way where it is redacted."""
        data = f"{kind}\0{text}".encode("utf-8", "replace")
        if self.redaction == "none":
            return xxh3_128_hexdigest(data)
        return blake2b(data, digest_size=16).hexdigest()

    def contents(self, texts: Sequence[str]) -> list[str | None]:
        """Give what may be stored of each text."""
        if self.redaction == "hash":
            return [None] * len(texts)
        kept = list(texts)
        marked = pl.Series(kept, dtype=pl.String).str.contains(ANY_MARK)
        for place in marked.arg_true():
            kept[place] = mask_secrets(kept[place])
        return [mask_personal(text) for text in kept] if self.redaction == "mask" else list(kept)

    def names(self, values: pl.Series) -> pl.Series:
        """Give what may be stored of users, tenants or conversations."""
        if self.redaction == "none" and not values.str.contains(ANY_MARK).any():
            return values
        distinct = values.unique().drop_nulls()
        named = pl.Series(list(map(self._name, distinct)), dtype=pl.String)
        return values.replace_strict(distinct, named, default=None, return_dtype=pl.String)

    def _name(self, value: str) -> str:
        if self.redaction == "none":
            return mask_secrets(value)
        if self.redaction == "mask":
            return mask_personal(mask_secrets(value))
        return blake2b(value.encode("utf-8", "replace"), digest_size=8).hexdigest()


def mask_secrets(text: str) -> str:
    """Replace what looks like a key, a token or a private key and has one of the marks."""
    for mark in SECRET_MARKS:
        if mark in text:
            return SECRETS.sub("[secret]", text)
    return text


def mask_personal(text: str) -> str:
    """Replace e-mail addresses, card and account numbers, IP addresses and telephone numbers."""
    for pattern, name in PERSONAL:
        text = pattern.sub(name, text)
    return text
