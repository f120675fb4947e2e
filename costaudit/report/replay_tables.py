"""A replay as tables: predicted against measured, and latencies."""

from costaudit.contracts.replay import ReplaySection
from costaudit.report.numbers import count, milliseconds, share
from costaudit.report.table import Table


def replay_tables(section: ReplaySection) -> tuple[Table, ...]:
    """Confusion of results, reasons of differences, errors, latencies."""
    measured = sorted({name for row in section.confusion.values() for name in row})
    return (
        Table(
            f"Predicted against measured: {share(section.agreed / max(section.requests, 1))} of "
            f"{count(section.requests)} requests agree",
            ("predicted", *(f"measured {name}" for name in measured)),
            tuple(
                (predicted, *(count(row.get(name, 0)) for name in measured))
                for predicted, row in section.confusion.items()
            ),
        ),
        Table(
            "Why the others differ",
            ("reason", "requests"),
            tuple((reason, count(n)) for reason, n in section.reasons.items()),
        ),
        Table(
            "Errors",
            ("error", "requests"),
            tuple((reason, count(n)) for reason, n in sorted(section.errors.items())),
        ),
        Table(
            "Latency",
            ("of", "requests", "p50", "p95", "p99"),
            tuple(
                (
                    row.name,
                    count(row.requests),
                    milliseconds(row.p50_ms),
                    milliseconds(row.p95_ms),
                    milliseconds(row.p99_ms),
                )
                for row in section.latencies
            ),
            note=f"Paced {section.pace}.",
        ),
    )
