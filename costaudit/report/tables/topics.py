"""Topics ranked by money, as a table."""

from collections.abc import Sequence

from costaudit.contracts.semantic import SampledCluster, SemanticSection
from costaudit.report.language import tr
from costaudit.report.numbers import count, seconds, share, share_range, similarity, usd, usd_range
from costaudit.report.tables.table import Table


def cluster_tables(section: SemanticSection) -> tuple[Table, ...]:
    """Return the questions that people repeat, the dearest topics first."""
    if section.sampled_clusters is not None:
        return (_sampled(section, section.sampled_clusters.rows),)
    return (
        Table(
            "Topics by money",
            ("topic", "terms", "calls", "wordings", "cost", "share", "hits", "cohesion",
             "answers", "TTL"),
            tuple(
                (
                    row.cluster_id,
                    row.label,
                    count(row.requests),
                    count(row.distinct_texts),
                    usd(row.cost_usd),
                    share(row.share),
                    share(row.hit_share),
                    similarity(row.tightness),
                    "" if row.answer_similarity_p50 is None
                    else similarity(row.answer_similarity_p50),
                    tr("no limit found") if row.ttl_s is None else seconds(row.ttl_s),
                )
                for row in section.clusters
            ),
            left=(0, 1),
            note="cost is over the log's period; hits at the recommended point; answers: median "
            "similarity of the answers on both sides of its hits.",
        ),
    )  # fmt: skip


def _sampled(section: SemanticSection, rows: Sequence[SampledCluster]) -> Table:
    return Table(
        "Topics by money, estimated from a sample",
        ("topic", "terms", "calls", "95%", "cost", "95%", "share", "hits", "95%", "cohesion",
         "in sample"),
        tuple(
            (
                row.cluster_id,
                row.label,
                share(row.request_share.value),
                share_range(row.request_share),
                usd(row.cost.usd),
                usd_range(row.cost),
                share(row.share.value),
                share(row.hit_share.value),
                share_range(row.hit_share),
                similarity(row.tightness),
                count(row.sampled_texts),
            )
            for row in rows
        ),
        left=(0, 1),
        note=sampled_clusters_line(section)
        + " "
        + tr("calls: share of eligible requests; cost is over the log's period."),
    )  # fmt: skip


def sampled_clusters_line(section: SemanticSection) -> str:
    """Say which part of a log's texts topics were found in; "" if it was all of them."""
    found = section.sampled_clusters
    if found is None:
        return ""
    return tr(
        "Topics come from {n} of {all} distinct texts, drawn by their requests and cost: half of "
        "them show which topics there are, the others how large these are. Hits are identical "
        "questions."
    ).format(n=count(found.embedded_texts), all=count(section.distinct_texts))
