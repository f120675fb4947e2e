"""Findings about the log itself: what was not read, not counted, missing, or failed."""

from collections.abc import Iterable

from costaudit.contracts.audit import DataQuality, Finding, covered
from costaudit.contracts.month import MonthFacts

SMALL_REQUESTS = 1_000
SMALL_DAYS = 7.0
LEAST_FAILED_SHARE = 0.05  # fewer failures are no finding
_FILTERED = "filtered"  # reason for rows that the reader's conditions leave out
_HOLES = 3  # gaps that are named, the longest first
_OTHERWISE = ", counted as "  # ingest writes this if it replaced a convention


def log_findings(quality: DataQuality, month: MonthFacts) -> Iterable[Finding]:
    """Yield what a reader should know about the log before its figures."""
    yield from _quality(quality, month)
    yield from _failures(quality)
    yield from _days(month)


def counted(requests: int) -> str:
    """Write a number of requests."""
    return "1 request" if requests == 1 else f"{requests:,} requests"


def _were(requests: int) -> str:
    return "was" if requests == 1 else "were"


def _quality(quality: DataQuality, month: MonthFacts) -> Iterable[Finding]:
    unread = {why: n for why, n in sorted(quality.skip_reasons.items()) if why != _FILTERED}
    if skipped := quality.skipped - quality.skip_reasons.get(_FILTERED, 0):
        reasons = ", ".join(f"{n:,} {why}" for why, n in unread.items())
        yield Finding(
            "rows-skipped",
            "warning",
            "1 row could not be read." if skipped == 1 else f"{skipped:,} rows could not be read.",
            f"{reasons}.",
            "skips.parquet lists each with its file and offset.",
            section="quality",
        )
    if quality.uncounted:
        yield Finding(
            "usage-missing",
            "warning",
            f"{counted(quality.uncounted)} {_were(quality.uncounted)} answered without token "
            "counts.",
            "Their cost is not in the figures.",
            "Log the usage block of every response; in streams, it is in the last chunk.",
            section="quality",
        )
    if estimated := quality.usage.get("estimated", 0):
        yield Finding(
            "usage-estimated",
            "info",
            "1 request has estimated token counts."
            if estimated == 1
            else f"{estimated:,} requests have estimated token counts.",
            "A tokenizer counted the tokens, not the provider.",
            "Log the usage block of every response; in streams, it is in the last chunk.",
            section="quality",
        )
    otherwise = sum(n for name, n in quality.conventions.items() if _OTHERWISE in name)
    if otherwise:
        names = "; ".join(name for name in sorted(quality.conventions) if _OTHERWISE in name)
        yield Finding(
            "convention-mismatch",
            "warning",
            f"The token counts of {counted(otherwise)} do not mean what their source says.",
            f"{names}: the calls' own totals, or cache reads larger than the input, show this.",
            "Compare one of these calls with the provider's usage page.",
            section="quality",
        )
    if 0 < quality.kept < SMALL_REQUESTS or quality.covered_days < SMALL_DAYS:
        yield Finding(
            "small-sample",
            "warning",
            f"The log is small: {counted(quality.kept)} over {covered(quality)}.",
            f"With fewer than {SMALL_REQUESTS:,} requests or {SMALL_DAYS:.0f} days, the daily and "
            f"weekly pattern can't be seen. {' '.join(month.reasons)}".rstrip(),
            "Use a longer log, of whole weeks.",
            section="quality",
        )


def _failures(quality: DataQuality) -> Iterable[Finding]:
    failed = quality.statuses.get("error", 0)
    if failed < max(LEAST_FAILED_SHARE * quality.kept, 1):
        return
    title = f"{failed:,} of {quality.kept:,} requests failed."
    what = "Failed calls have no answer to compare or to reuse, and most of them no token counts."
    if failed == quality.kept:
        title = "1 request failed, and none succeeded."
        if failed > 1:
            title = f"All {failed:,} requests failed."
        what = "Nothing can be said about answers, caches or other levers."
    yield Finding(
        "failures",
        "warning",
        title,
        what,
        "Find the cause first: the report has failures by endpoint, tenant and model.",
        section="spend",
    )


def _days(month: MonthFacts) -> Iterable[Finding]:
    """Yield findings about gaps in the log, and about a trend of the spend."""
    if month.holes:
        hours = sum(one.hours for one in month.holes)
        longest = sorted(month.holes, key=lambda one: (-one.hours, one.start))[:_HOLES]
        places = "; ".join(
            f"{one.start[:16].replace('T', ' ')} to {one.end[:16].replace('T', ' ')}"
            for one in longest
        )
        yield Finding(
            "log-gap",
            "problem" if month.is_month and hours > month.traffic_days * 24 / 2 else "warning",
            f"The log has {'a gap' if len(month.holes) == 1 else f'{len(month.holes)} gaps'} of "
            f"{hours:,} hours that usually have requests.",
            f"{places} (UTC). A gap counts neither as traffic nor as no traffic: the "
            "month is made of the hours that the log covers.",
            "Export these hours too.",
            section="quality",
        )
    trend = month.trend
    if trend is not None and trend.significant:
        yield Finding(
            "spend-trend",
            "warning" if trend.per_week > 0 else "info",
            f"Spend {'grows' if trend.per_week > 0 else 'falls'} by {abs(trend.per_week):.0%} a "
            "week.",
            f"95% interval {trend.low:+.0%} to {trend.high:+.0%}, weekday by weekday. "
            "A month here has the log's mean spend.",
            "Run `costaudit forecast` for the next month and its drivers.",
            section="spend",
        )
