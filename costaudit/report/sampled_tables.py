"""A sweep that was estimated from a part of the texts, as a table."""

from costaudit.contracts.sampled import SampledSweep
from costaudit.report.numbers import count, share, share_range, similarity, usd, usd_range
from costaudit.report.table import Table


def sampled_table(sweep: SampledSweep) -> Table:
    """Estimates with their intervals by threshold."""
    return Table(
        "Semantic cache by similarity threshold, estimated from a sample",
        ("similarity", "raw", "95 %", "net a month", "95 %"),
        tuple(
            (
                similarity(point.min_similarity),
                share(point.raw_hit_share.value),
                share_range(point.raw_hit_share),
                usd(point.net_saved.usd),
                usd_range(point.net_saved),
            )
            for point in sweep.points
        ),
        left=(),
        note="raw is the share of eligible requests, identical texts included, which are counted "
        "and not estimated. Whether hits would be right is not judged on a sample.",
    )


def sampled_line(sweep: SampledSweep) -> str:
    """Say how much was embedded, and what is doubtful about it."""
    part = share(sweep.embedded_texts / sweep.distinct_texts)
    return (
        f"Estimated from {count(sweep.embedded_texts)} of {count(sweep.distinct_texts)} distinct "
        f"texts ({part}): {count(sweep.core_texts)} drawn at random, whose requests are counted, "
        f"and {count(sweep.embedded_texts - sweep.core_texts)} likely neighbours of theirs. "
        f"{sweep.language_warning}"
    ).strip()
