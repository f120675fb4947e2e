"""How long a log is, in words."""

from datetime import datetime

from costaudit.contracts.audit import DataQuality

_HOUR_DAYS = 1 / 24  # no log is taken for shorter
_RATE_DAYS = 1.0  # below a day, a month is only a rate


def in_words(days: float) -> str:
    """Write a time given in days in the unit that people would say it in."""
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
    """Say what a log covers; below an hour, also that it is taken for one."""
    if quality.covered_days > _HOUR_DAYS * 1.001 or not quality.first_ts:
        return in_words(quality.covered_days)
    spans = datetime.fromisoformat(quality.last_ts) - datetime.fromisoformat(quality.first_ts)
    said = in_words(spans.total_seconds() / 86_400)
    return said if said == "1 hour" else f"{said}, taken for 1 hour"


def only_a_rate(quality: DataQuality) -> str:
    """Say what a month means where the log covers less than a day; else ""."""
    if quality.covered_days >= _RATE_DAYS or not quality.first_ts:
        return ""
    return "A month is this rate kept up day and night, not a forecast."
