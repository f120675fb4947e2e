"""The audit: every figure that a report can show, with its claims, budgets and period."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal

import msgspec

from costaudit.contracts.grades import Grade, Money
from costaudit.contracts.ledger import Ledger, LeverRow, PlanStep, Suggestion
from costaudit.contracts.manifest import InputFile
from costaudit.contracts.month import MonthFacts, unknown_month
from costaudit.contracts.prefix import PrefixSection
from costaudit.contracts.replay import ReplaySection
from costaudit.contracts.route import RouteSection
from costaudit.contracts.run_dir import RunDir, atomic_write
from costaudit.contracts.semantic import SemanticSection
from costaudit.contracts.sessions import SessionsSection
from costaudit.contracts.spend import Spend
from costaudit.errors import RunDirError
from costaudit.untrusted import bytes_of, check_entries

SCHEMA_VERSION = "1"
# unclear: the claimed value is within the interval of what was found
Outcome = Literal["holds", "fails", "unclear", "untested"]


@dataclass(frozen=True)
class Finding:
    """Something that the reader should know or do."""

    code: str  # stable, such as prefix-timestamp
    severity: Literal["info", "warning", "problem"]
    title: str  # one sentence
    detail: str
    change: str  # what repairs it; may be empty
    saved: Money | None = None  # per month; the ledger sets its upper limit
    section: str = ""  # anchor of the section that explains it
    alone: Money | None = None  # per month, as the only change; set only if it is more


@dataclass(frozen=True)
class Assumption:
    """Something that the audit assumes and the reader can change."""

    name: str
    value: str
    why: str
    option: str  # the command-line option that changes it; may be empty


@dataclass(frozen=True)
class DataQuality:
    """What the log holds. Law: rows = kept + merged + skipped."""

    rows: int
    kept: int
    merged: int
    skipped: int
    skip_reasons: dict[str, int]
    files: tuple[InputFile, ...]
    first_ts: str  # ISO 8601, UTC; "" where no row has a time
    last_ts: str
    covered_days: float  # from the first to the last request, at least one hour
    timed_share: float  # share of rows with a time
    prompt_share: float  # share of rows with the prompt's text
    answer_share: float  # share of rows with the answer's text
    usage: dict[str, int]  # usage_source → rows
    conventions: dict[str, int]  # counting convention → rows
    statuses: dict[str, int]  # status → rows
    tokenizer: str
    cannot_tell: tuple[str, ...]  # questions that this log can't answer, each a sentence
    uncounted: int = 0  # requests that a provider answered without token counts; cost unknown

    @property
    def spend_grade(self) -> Grade:
        """Grade the log's spend: measured, unless token counts are estimated or unknown."""
        return "estimated" if self.usage.get("estimated", 0) + self.uncounted else "measured"


@dataclass(frozen=True)
class Verdict:
    """The summary that a reader sees first."""

    headline: str  # one sentence with dollars, range, grade and coverage
    spend: Money  # per month
    after: Money  # per month, after every step with a better grade than assumed
    saving: Money
    saving_share: float
    draft: str  # why the amounts are provisional; "" if they are final
    grade: Grade


@dataclass(frozen=True)
class Claim:
    """A promise of the guide that `costing/claims.py` checks."""

    claim: str  # what is promised
    promised: str  # the guide's number
    found: str  # the number on this log, or from the guide's figures; "" if untested
    outcome: Outcome
    why: str  # how `found` was found, or why it can't be found
    grade: Grade


@dataclass(frozen=True)
class Audit:
    """The whole audit; `audit.json` is its encoding."""

    schema_version: str
    costaudit_version: str
    prices_source: str
    show_prompts: bool  # the audit holds texts of prompts and answers
    verdict: Verdict
    quality: DataQuality
    spend: Spend
    ledger: Ledger
    semantic: SemanticSection | None  # None: no prompts that a cache could answer
    prefix: PrefixSection | None
    plan: tuple[PlanStep, ...]
    findings: tuple[Finding, ...]
    assumptions: tuple[Assumption, ...]
    levers: tuple[LeverRow, ...] = ()  # levers other than caches, with evidence and calls
    worth_testing: tuple[Suggestion, ...] = ()  # without evidence in the log, so without money
    claims: tuple[Claim, ...] = ()  # promises of the guide, checked on this log
    replay: ReplaySection | None = None  # None: nothing was replayed
    routes: tuple[RouteSection, ...] = ()  # candidate models that were tried on a sample
    month: MonthFacts = field(default_factory=unknown_month)  # what the figures mean
    sessions: SessionsSection | None = None  # None: no call names an agent's session
    uncacheable: dict[str, int] = field(default_factory=dict)  # reason → requests; filled
    # only if the log has prompts and a cache must bypass all of them


def encode_audit(audit: Audit) -> bytes:
    """Encode as JSON: money as decimal strings, the same bytes for the same audit."""
    return msgspec.json.format(msgspec.json.encode(audit), indent=2) + b"\n"


def audit_schema() -> bytes:
    """Return the JSON Schema of `audit.json`; a new field does not change its version."""
    schema = msgspec.json.schema(Audit)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "costaudit audit",
        "version": SCHEMA_VERSION,
    }
    return msgspec.json.format(msgspec.json.encode(head | schema), indent=2) + b"\n"


def write_audit(audit: Audit, path: Path) -> None:
    """Write `audit.json` completely or not at all."""
    with atomic_write(path) as part:
        part.write_bytes(encode_audit(audit))


def _check_days(audit: Audit) -> None:
    """Raise ValueError for a day that is no date."""
    days = [row.group for row in audit.spend.by.get("day", ())]
    for text in (audit.quality.first_ts, audit.quality.last_ts, *days):
        if text:
            date.fromisoformat(text[:10])


def read_audit(path: Path) -> Audit:
    """Read `audit.json`; raise RunDirError if it is missing or has another version."""
    if RunDir.is_run(path.parent):
        check_entries(path.parent)
    try:
        data = bytes_of(path)
        version = msgspec.json.decode(data, type=dict[str, msgspec.Raw]).get("schema_version")
        if version is None or msgspec.json.decode(version) != SCHEMA_VERSION:
            raise RunDirError(
                f"{path} is an audit of another format than {SCHEMA_VERSION}: it was written by "
                "another version of costaudit.",
                hint="Run `costaudit analyze` on the run directory, or on its log, again.",
            )
        audit = msgspec.json.decode(data, type=Audit)
        _check_days(audit)
        return audit
    except FileNotFoundError:
        raise RunDirError(
            f"There is no audit at {path}.", hint="Make one with `costaudit analyze LOG`."
        ) from None
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise RunDirError(
            f"{path} is not an audit: {error}.", hint="Make one with `costaudit analyze LOG`."
        ) from None


def in_words(days: float) -> str:
    """Write a time, given in days, in the unit that people would use for it."""
    minutes = round(days * 1440)
    if minutes < 1:
        return "less than a minute"
    if minutes < 60:
        return "1 minute" if minutes == 1 else f"{minutes} minutes"
    hours = round(days * 24)
    if days < 1 and hours < 24:
        return "1 hour" if hours == 1 else f"{hours} hours"
    return f"{days:.1f} days"


def covered(quality: DataQuality) -> str:
    """Describe how long a log is, from its first request to its last; or that it can't be told."""
    if not quality.first_ts:
        return "an unknown time"
    spans = datetime.fromisoformat(quality.last_ts) - datetime.fromisoformat(quality.first_ts)
    return in_words(spans.total_seconds() / 86_400)


EMPTY = "empty"  # source of a file without content
OTHER = "not a log"  # source of a document, a program or a picture in a folder of logs


def lost_files(sources: Iterable[str]) -> str:
    """Say how many files could not be read, from the source of each file; "" if none."""
    told = [not source for source in sources if source != OTHER]
    if not any(told):
        return ""
    return f"{sum(told)} of {len(told)} files could not be read: the total is a lower bound."


TOTALS = "daily_totals"  # source of a provider's report of usage or costs


def only_totals(sources: Iterable[str]) -> str:
    """Say that all files hold daily totals; return "" if any file does not."""
    told = list(sources)
    if not told or any(source != TOTALS for source in told):
        return ""
    what = "The file holds" if len(told) == 1 else f"All {len(told)} files hold"
    return f"{what} daily totals of usage or costs, not calls."


TOTALS_HINT = "Compare them with a log of calls: costaudit spend LOG --invoice FILE."


@dataclass(frozen=True)
class Limit:
    """One limit of a budget."""

    written: str  # as the reader wrote it, such as 0.5%
    value: Decimal  # a share of 0 to 1, or US dollars


@dataclass(frozen=True)
class SpendChange:
    """Monthly spend of a baseline and of the tested audit."""

    base_usd: Decimal
    new_usd: Decimal
    noise_usd: Decimal | None  # half the 95 % interval of the difference; None: not known
    why_not: str = ""  # why the two can't be compared; "" if they can
    period: str = "a month"  # the period that the amounts cover


GateStatus = Literal["passed", "failed", "insufficient"]  # insufficient: the log can't show it


@dataclass(frozen=True)
class GateResult:
    """One rule of the gate, and whether the audit satisfies it."""

    rule: str  # as in costaudit.toml, such as max_unsafe_served
    status: GateStatus
    limit: str  # as the reader wrote it, such as 0.5%
    measured: str  # the tested value with its interval, in words
    detail: str  # one sentence: why, and what to do
