"""Tables of the next month and of what made spend grow."""

from costaudit.contracts.forecast import Forecast
from costaudit.contracts.grades import Money
from costaudit.report.numbers import count, share, tokens, usd
from costaudit.report.tables.table import Table


def forecast_line(found: Forecast) -> str:
    """Describe the next month in a sentence, and how well such forecasts did in the log."""
    told = (
        f"Next month {usd(found.next_month.usd)} ({_range(found.next_month)}); a month like the "
        f"log {usd(found.like_log.usd)} ({_range(found.like_log)})."
    )
    test = found.backtest
    if not test.made:
        return f"{told} The log is too short to test a forecast on itself: that takes three weeks."
    weeks = "1 week" if test.made == 1 else f"{test.made} weeks"
    return (
        f"{told} Forecast from the days before, {test.covered} of {weeks} of the log were within "
        f"their 95% interval, with a mean error of {share(test.mean_error)}."
    )


def forecast_tables(found: Forecast) -> tuple[Table, ...]:
    """Lay out the trend, the drivers, unusual days and prompts that grew."""
    return (_trend(found), _drivers(found), _spikes(found), _inflation(found))


def _range(money: Money) -> str:
    if money.low_usd is None or money.high_usd is None:
        return "no interval"
    return f"{usd(money.low_usd)} to {usd(money.high_usd)}"


def _trend(found: Forecast) -> Table:
    trend = found.month.trend
    rows = (
        ()
        if trend is None
        else (
            (
                f"{trend.per_week:+.1%}",
                f"{trend.low:+.1%} to {trend.high:+.1%}",
                "yes" if trend.significant else "no",
            ),
        )
    )
    return Table(
        "Trend, of a mean week",
        ("per week", "95 %", "beyond chance"),
        rows,
        note=" ".join(found.month.reasons),
    )


def _drivers(found: Forecast) -> Table:
    rows = tuple((one.factor, usd(one.usd)) for one in found.drivers)
    total = (("change", usd(found.change)),) if rows else ()
    return Table(
        "Second half of the log against the first, a month",
        ("factor", "USD"),
        (*rows, *total),
        note="Factors add up to the change exactly (logarithmic mean Divisia index over models).",
    )


def _spikes(found: Forecast) -> Table:
    return Table(
        "Unusual days",
        ("day", "USD", "usual", "dimension", "group", "of the excess", "share"),
        tuple(
            (
                one.day,
                usd(one.usd),
                usd(one.usual_usd),
                cause.dimension,
                cause.group,
                usd(cause.usd),
                share(cause.share),
            )
            for one in found.spikes
            for cause in one.causes
        ),
        left=(0, 3, 4),
    )


def _inflation(found: Forecast) -> Table:
    return Table(
        "Prompts that grew",
        ("endpoint", "since", "before", "after", "part", "by", "a month", "growth"),
        tuple(
            (
                one.endpoint or "not logged",
                one.since,
                tokens(one.before_tokens),
                tokens(one.after_tokens),
                one.part or "not known",
                count(round(one.part_tokens)),
                usd(one.usd_month),
                share(one.after_tokens / one.before_tokens - 1),
            )
            for one in found.inflation
        ),
        left=(0, 1, 4),
        note="Input tokens a request. a month: what the growth costs.",
    )
