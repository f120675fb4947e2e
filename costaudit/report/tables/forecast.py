"""Tables of the next month and of what made spend grow."""

from costaudit.contracts.forecast import Forecast
from costaudit.contracts.grades import Money
from costaudit.report.language import percent, said, tr
from costaudit.report.numbers import count, counted, share, tokens, usd
from costaudit.report.tables.spend import not_priced
from costaudit.report.tables.table import Table


def forecast_line(found: Forecast) -> str:
    """Describe the next month in a sentence, and how well such forecasts did in the log."""
    lead = tr("Next month {next} ({range}); a month like the log {like} ({like_range}).")
    if found.unpriced_requests:
        lead = tr(
            "Of what has a price: next month at least {next} ({range}); a month like the log at "
            "least {like} ({like_range})."
        )
    told = lead.format(
        next=usd(found.next_month.usd),
        range=_range(found.next_month),
        like=usd(found.like_log.usd),
        like_range=_range(found.like_log),
    )
    if found.unpriced_requests:
        told += f" {not_priced(found.unpriced_requests, found.unpriced_share)}"
    test = found.backtest
    if not test.made:
        short = tr("The log is too short to test a forecast on itself: that takes three weeks.")
        return f"{told} {short}"
    tested = tr(
        "Forecast from the days before, {covered} of {weeks} of the log were within their 95% "
        "interval, with a mean error of {share}."
    ).format(
        covered=count(test.covered),
        weeks=counted(test.made, "week"),
        share=share(test.mean_error),
    )
    return f"{told} {tested}"


def forecast_tables(found: Forecast) -> tuple[Table, ...]:
    """Lay out the trend, the drivers, unusual days and prompts that grew."""
    return (_trend(found), _drivers(found), _spikes(found), _inflation(found))


def _range(money: Money) -> str:
    if money.low_usd is None or money.high_usd is None:
        return tr("no interval")
    return tr("{low} to {high}").format(low=usd(money.low_usd), high=usd(money.high_usd))


def _signed(value: float) -> str:
    return f"{value:+.1f}"[0] + percent(f"{abs(100 * value):.1f}")


def _trend(found: Forecast) -> Table:
    trend = found.month.trend
    rows = (
        ()
        if trend is None
        else (
            (
                _signed(trend.per_week),
                tr("{low} to {high}").format(low=_signed(trend.low), high=_signed(trend.high)),
                tr("yes") if trend.significant else tr("no"),
            ),
        )
    )
    return Table(
        "Trend, of a mean week",
        ("per week", "95%", "beyond chance"),
        rows,
        note=" ".join(map(said, found.month.reasons)),
    )


def _drivers(found: Forecast) -> Table:
    rows = tuple((tr(one.factor), usd(one.usd)) for one in found.drivers)
    total = ((tr("change"), usd(found.change)),) if rows else ()
    return Table(
        "Second half of the log against the first, a month",
        ("factor", "USD"),
        (*rows, *total),
        note="Factors add up to the change exactly (logarithmic mean Divisia index over models and "
        "kinds of tokens); tokens per request include searches, media and fees.",
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
                tr(cause.dimension),
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
                one.endpoint or tr("not logged"),
                one.since,
                tokens(one.before_tokens),
                tokens(one.after_tokens),
                said(one.part) or tr("not known"),
                count(round(one.part_tokens)),
                usd(one.usd_month),
                share(one.after_tokens / one.before_tokens - 1),
            )
            for one in found.inflation
        ),
        left=(0, 1, 4),
        note="Input tokens a request, and what their growth costs a month.",
    )
