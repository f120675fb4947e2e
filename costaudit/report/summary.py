"""What a reader with little time sees: ranked findings, reasons, and lists cut to a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from costaudit.contracts.audit import Audit, Finding
from costaudit.contracts.grades import Money
from costaudit.report.escaping import cut
from costaudit.report.language import tr
from costaudit.report.numbers import count

_SEVERITY = {"problem": 0, "warning": 1, "info": 2}
Severity = Literal["problem", "saving", "caution", "note"]
SEVERITIES: tuple[Severity, ...] = ("problem", "saving", "caution", "note")


LEAST_SHARE = Decimal("0.005")  # of the bill; a smaller saving is only good to know
_QUESTIONS = frozenset({"log-gap", "unpriced", "invoice-gap"})  # codes: the numbers may be wrong


def severity(finding: Finding, bill: Decimal) -> Severity:
    """Return what a finding means to the reader of an audit with this bill.

    A problem harms now; a saving is money you can save; a caution makes a number or a setting less
    safe; a note is good to know. Money that is assumed, may be none or is less than LEAST_SHARE of
    the bill is a note, and a problem only if it questions the numbers themselves.
    """
    saved = finding.saved
    if finding.severity == "problem":
        harms = finding.code in _QUESTIONS or (saved is not None and _counts(saved, bill))
        return "problem" if harms else "caution"
    if saved is not None and saved.usd > 0:
        return "saving" if _counts(saved, bill) else "note"
    return "caution" if finding.severity == "warning" else "note"


def _counts(saved: Money, bill: Decimal) -> bool:
    """Return whether an amount is certain enough, and large enough for the bill."""
    least = saved.usd if saved.low_usd is None else saved.low_usd
    return saved.grade != "assumed" and least > 0 and saved.usd >= LEAST_SHARE * bill


def ranked_findings(audit: Audit) -> list[Finding]:
    """Order findings by money, then severity, then code."""

    def key(finding: Finding) -> tuple[Decimal, int, str]:
        saved = finding.saved.usd if finding.saved else Decimal(0)
        return (-saved, _SEVERITY[finding.severity], finding.code)

    return sorted(audit.findings, key=key)


_WORDS = {
    "not_chat": "calls other than chat",
    "gateway_cache": "served by a gateway's cache",
    "status_error": "failed",
    "images": "with images or other media",
    "no_prompt": "without a logged question",
    "truncated": "cut short by the exporter",
    "temperature": "with a temperature above the limit",
    "tool_use": "answered by calling a tool",
    "finish_reason": "with an answer that was cut or filtered",
    "refusal": "refused by the model",
    "no_answer": "with an empty answer",
    "no_time": "without a time",
}


def bypass_line(counts: Mapping[str, int]) -> str:
    """Write counts by reason as a list, the most frequent first."""
    most = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return ", ".join(
        f"{count(n)} {tr(_WORDS.get(name, name.replace('_', ' ')))}" for name, n in most
    )


def why_none(audit: Audit) -> str:
    """Explain why an audit has nothing on a semantic cache, as the end of a sentence."""
    if audit.uncacheable:
        return f"{tr('no question could be cached')}: {bypass_line(audit.uncacheable)}"
    if audit.quality.prompt_share:
        return tr("the log has no request that a cache could answer")
    return tr("the log has no prompts")


_SERIES = ("semantic.points", "spend.by.day", "spend.by.hour")
_BY_MONEY = ("spend.by.endpoint", "spend.by.tenant", "spend.by.model")


@dataclass(frozen=True)
class Limits:
    """The most entries and characters that a page holds."""

    series: int = 4_000  # points of a curve
    rows: int = 300  # rows of a table, entries of a mapping
    pairs: int = 12  # pairs of questions, breakers and parts a row holds
    characters: int = 4_000  # of one text

    def divided(self, by: int) -> "Limits":
        """Allow a fraction of everything."""
        return Limits(
            max(self.series // by, 50),
            max(self.rows // by, 3),
            max(self.pairs // by, 1),
            max(self.characters // by, 80),
        )


def thinned(audit: Audit, limits: Limits) -> tuple[Audit, dict[str, int]]:
    """Cut the audit; also give the full length of every list that was cut, by its path."""
    lengths: dict[str, int] = {}

    def walk(value: Any, path: str) -> Any:
        if isinstance(value, str):
            return cut(value, limits.characters)
        if isinstance(value, tuple):
            return tuple(walk(item, path) for item in _kept(value, path, limits, lengths))
        if isinstance(value, dict):
            names = tuple(value)[: limits.rows]
            if len(names) < len(value):
                lengths[path] = len(value)
            return {
                cut(name, limits.characters): walk(value[name], f"{path}.{name}") for name in names
            }
        if is_dataclass(value) and not isinstance(value, type):
            start = f"{path}." if path else ""
            parts = {
                field.name: walk(getattr(value, field.name), start + field.name)
                for field in fields(value)
            }
            return replace(value, **parts)
        return value

    return walk(audit, ""), lengths


def _kept(
    items: Sequence[Any], path: str, limits: Limits, lengths: dict[str, int]
) -> Sequence[Any]:
    if path in _SERIES:
        most, choose = limits.series, spread
    elif path.count(".") > 1 and not path.startswith("spend.by"):
        most, choose = limits.pairs, _first
    else:
        most, choose = limits.rows, _dearest if path in _BY_MONEY else _first
    if len(items) <= most:
        return items
    lengths[path] = max(lengths.get(path, 0), len(items))
    return choose(items, most)


def _first(items: Sequence[Any], most: int) -> Sequence[Any]:
    return items[:most]


def _dearest(items: Sequence[Any], most: int) -> Sequence[Any]:
    return sorted(items, key=lambda row: row.cost.total_usd, reverse=True)[:most]


def spread(items: Sequence[Any], most: int) -> Sequence[Any]:
    """Keep evenly spread points; always keep the first, the last and the recommended one."""
    last = len(items) - 1
    kept = {round(number * last / (most - 2)) for number in range(most - 1)}
    kept |= {number for number, item in enumerate(items) if getattr(item, "recommended", False)}
    return [items[number] for number in sorted(kept)]
