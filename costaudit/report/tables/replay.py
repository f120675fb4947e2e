"""A replay as tables: before and after, hour by hour, predicted against measured, latencies."""

from costaudit.contracts.grades import Estimate
from costaudit.contracts.replay import REASONS, ReplaySection
from costaudit.report.language import said, tr
from costaudit.report.numbers import count, milliseconds, share, share_range, usd
from costaudit.report.tables.table import Table, render_tables

_LISTED = 10  # requests that differ


def replay_tables(section: ReplaySection) -> tuple[Table, ...]:
    """List the tables of a replay: what matters most first.

    Answers of other tenants lead where there are any; then before and after, confusion of results,
    why some differ, latencies, hours, errors.
    """
    return (
        *_crossed(section),
        _before_after(section),
        _confusion(section),
        _reasons(section),
        _rules(section),
        Table(
            tr("The first requests that differ, at most {n}").format(n=_LISTED),
            ("request", "predicted", "measured", "reason"),
            tuple(
                (row.request_id, tr(row.predicted), tr(row.measured), tr(row.reason))
                for row in section.differences[:_LISTED]
            ),
            left=(0, 1, 2, 3),
        ),
        _latencies(section),
        _hours(section),
        Table(
            "Errors",
            ("error", "requests"),
            tuple((said(reason), count(n)) for reason, n in sorted(section.errors.items())),
        ),
    )


def replay_lines(section: ReplaySection) -> list[str]:
    """Write the tables that a comment has room for, in Markdown."""
    short = (
        *_crossed(section),
        _before_after(section),
        _confusion(section),
        _reasons(section),
        _rules(section),
        _latencies(section),
    )
    return render_tables(short, "md").decode().splitlines()


def _crossed(section: ReplaySection) -> tuple[Table, ...]:
    """Begin with hits that served somebody else's answer; nothing without them."""
    crossed = section.crossed
    if crossed is None or not (crossed.tenant or crossed.user):
        return ()
    rows = (("tenant", crossed.tenant), ("user", crossed.user))
    return (
        Table(
            "Answers that belonged to others were served",
            ("made for another", "hits", "of all hits"),
            tuple(
                (tr(name), count(n), share(n / max(section.measured_hits, 1)))
                for name, n in rows
                if n is not None
            ),
            note="The cache does not separate them: add that field to its key or filter.",
        ),
    )


def _before_after(section: ReplaySection) -> Table:
    rows = []
    if section.cost is not None:
        cost = section.cost
        dollars = (cost.before_usd, cost.predicted_usd, cost.after_usd)
        rows.append((tr("models, over the log's period"), *map(usd, dollars)))
    hits = section.predicted_hits, section.measured_hits
    rows.append((tr("answered by the cache"), count(0), *map(count, hits)))
    shares = (share(one / max(section.lookups, 1)) for one in hits)
    rows.append((tr("of {n} lookups").format(n=count(section.lookups)), share(0), *shares))
    wrong = section.unsafe_predicted, section.unsafe_served_share
    rows.append((tr("wrong answers served, of all"), share(0), *map(_estimate, wrong)))
    return Table(
        "Before and after",
        ("", "before", "predicted", "measured"),
        tuple(rows),
        note=section.unsafe_from
        and tr("Wrong answers: {why}").format(why=said(section.unsafe_from)),
    )


def _confusion(section: ReplaySection) -> Table:
    measured = sorted({name for row in section.confusion.values() for name in row})
    return Table(
        tr("Predicted against measured: {share} of {n} requests agree").format(
            share=share(section.agreed / max(section.requests, 1)), n=count(section.requests)
        ),
        ("predicted", *(tr("measured {what}").format(what=tr(name)) for name in measured)),
        tuple(
            (tr(predicted), *(count(row.get(name, 0)) for name in measured))
            for predicted, row in section.confusion.items()
        ),
        note=tr("Of {all} requests that hit in both, {n} got the predicted answer.").format(
            n=count(section.same_entry), all=count(section.both_hit)
        )
        if section.both_hit
        else "",
    )


def _reasons(section: ReplaySection) -> Table:
    return Table(
        "Why the others differ",
        ("reason", "requests", "that is"),
        tuple(
            (tr(reason), count(n), tr(REASONS.get(reason, "")))
            for reason, n in section.reasons.items()
        ),
        left=(0, 2),
        widest=72,
    )


def _rules(section: ReplaySection) -> Table:
    return Table(
        "Rules of the cache, one changed at a time",
        ("with this rule instead", "explains", "would break", "adopted"),
        tuple(
            (
                said(row.rule),
                count(row.explains),
                count(row.breaks),
                str(row.taken) if row.taken else "",
            )
            for row in section.rules
        ),
        left=(0,),
        note="Each row repeats the simulation with one rule changed. A change is adopted if it "
        "explains more differences than it creates; the second is tested on top of the first.",
    )


def _latencies(section: ReplaySection) -> Table:
    return Table(
        "Latency",
        ("of", "requests", "p50", "p95", "p99"),
        tuple(
            (
                tr(row.name),
                count(row.requests),
                milliseconds(row.p50_ms),
                milliseconds(row.p95_ms),
                milliseconds(row.p99_ms),
            )
            for row in section.latencies
        ),
        note=tr("Paced {pace}.").format(pace=said(section.pace)),
    )


def _hours(section: ReplaySection) -> Table:
    return Table(
        tr("Hit rate by hour of the day, UTC") if section.daily else tr("Hit rate by hour, UTC"),
        ("hour", "lookups", "hits predicted", "measured", "rate predicted", "measured"),
        tuple(
            (
                row.hour,
                count(row.lookups),
                count(row.predicted_hits),
                count(row.measured_hits),
                share(row.predicted_hits / row.lookups) if row.lookups else "",
                share(row.measured_hits / row.lookups) if row.lookups else "",
            )
            for row in section.hours
        ),
    )


def _estimate(one: Estimate | None) -> str:
    if one is None:
        return tr("unknown")
    between = share_range(one)
    return share(one.value) + (f" ({between})" if between else "")
