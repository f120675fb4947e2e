"""The sweep, its lifetimes, sampled estimate and promises, as tables."""

from collections.abc import Callable, Iterable, Sequence

from costaudit.contracts.audit import Claim
from costaudit.contracts.grades import Estimate
from costaudit.contracts.semantic import (
    EQUAL_COVERAGES,
    EmbedderRow,
    LifetimeSweep,
    SampledSweep,
    ScopeRow,
    SemanticSection,
    SweepPoint,
)
from costaudit.report.language import said, separated, tr
from costaudit.report.numbers import (
    count,
    milliseconds,
    seconds,
    share,
    share_range,
    similarity,
    usd,
    usd_range,
)
from costaudit.report.products import translate
from costaudit.report.tables.policies import policy_tables
from costaudit.report.tables.table import Table


def lifetime_tables(sweeps: Sequence[LifetimeSweep]) -> tuple[Table, ...]:
    """Set hits, wrong answers and money side by side; nothing where there is one TTL."""
    if not sweeps:
        return ()
    return (
        _table("Hit share by similarity and TTL", sweeps, _raw),
        _table("Wrong answers served by similarity and TTL, of all requests", sweeps, _unsafe),
        _table("Net saving a month by similarity and TTL", sweeps, _net),
    )


def _table(title: str, sweeps: Sequence[LifetimeSweep], cell: Callable[[SweepPoint], str]) -> Table:
    by_row = zip(*(one.points for one in sweeps), strict=True)
    return Table(
        title,
        ("similarity", *(_name(one) for one in sweeps)),
        tuple(
            (similarity(points[0].min_similarity), *(cell(point) for point in points))
            for points in by_row
        ),
        left=(),
    )


def _name(sweep: LifetimeSweep) -> str:
    return tr("no TTL") if sweep.ttl_s is None else f"{seconds(sweep.ttl_s)} {tr(sweep.ttl_kind)}"


def _raw(point: SweepPoint) -> str:
    return share(point.raw_hit_share.value)


def _unsafe(point: SweepPoint) -> str:
    found = point.unsafe_served_share
    return tr("not known") if found is None else share(found.value)


def _net(point: SweepPoint) -> str:
    return usd(point.net_saved.usd)


_RATES = ("raw", "valid", "unsafe", "95%", "net a month")


def sweep_tables(section: SemanticSection) -> tuple[Table, ...]:
    """Return tables of thresholds, TTLs, isolation, variants and the products' settings."""
    return (
        _thresholds(section),
        *policy_tables(section),
        *lifetime_tables(section.lifetimes),
        Table(
            "Cost of isolation: the same sweep under wider and narrower scopes",
            ("scope", "partitions", *_RATES),
            tuple(
                _scope(row, " + ".join(map(tr, row.scope)) or tr("global"))
                for row in section.scopes
            ),
        ),
        Table(
            "The scope without one of its fields",
            ("without", "partitions", *_RATES),
            tuple(_scope(row, tr(row.removed)) for row in section.without_field),
        ),
        Table(
            "Variants at the recommended point",
            ("variant", "entries", *_RATES),
            tuple(
                (
                    said(row.name),
                    count(row.peak_entries),
                    share(row.raw_hit_share.value),
                    _share(row.valid_hit_share),
                    *_unsafe_cell(row.unsafe_served_share),
                    usd(row.net_saved.usd),
                )
                for row in section.variants
            ),
        ),
        *_security(section),
        *_products(section),
    )


def _security(section: SemanticSection) -> tuple[Table, ...]:
    """Return whose answers the cache would show to whom."""
    if not section.security:
        return ()
    return (
        Table(
            "Whose answers a shared cache shows to whom",
            ("similarity", "hits", "other tenant's", "other user's", "with their data",
             "most on one entry", "nearest wrong"),
            tuple(
                (
                    similarity(row.min_similarity),
                    count(row.hits),
                    count(row.across_tenants),
                    count(row.across_users),
                    count(row.personal),
                    count(row.largest_fan_out),
                    "" if row.nearest_wrong is None else similarity(row.nearest_wrong),
                )
                for row in section.security
            ),
            left=(),
            note="with their data: hits that show a name, an amount or an id that only the other "
            "user's answers have; nearest wrong: the most similar questions with a wrong hit.",
        ),
    )  # fmt: skip


def misses_line(section: SemanticSection) -> str:
    """Say what a judge showed about the detectors; "" without one."""
    told = section.misses
    if told is None:
        return ""
    return tr(
        "{n} verdicts of {judge} show how many wrong details no detector sees: about {missed} of "
        "{all} (without a judge, 5% is assumed)."
    ).format(
        n=count(told.verdicts),
        judge=told.judge,
        missed=separated(f"{told.missed + told.unexplained:.1f}"),
        all=separated(f"{told.missed + told.unexplained + told.seen:.1f}"),
    )


def size_line(section: SemanticSection) -> str:
    """Describe how large the cache gets, and the Redis settings that hold it."""
    size = section.sizing
    if size is None:
        return ""
    return tr(
        "At its fullest it holds {entries} entries of {bytes} bytes: Redis maxmemory {mib}mb, "
        "maxmemory-policy {policy}."
    ).format(
        entries=count(size.entries),
        bytes=count(size.bytes_per_entry),
        mib=size.maxmemory_mib,
        policy=size.maxmemory_policy,
    )


def embedder_table(rows: Sequence[EmbedderRow]) -> Table:
    """Return the embedders side by side, each at its own recommended point."""
    return Table(
        "Embedders on this log, each at the similarity that it would be recommended at",
        ("embedder", "dims", "bytes", "lookup", "truncated texts", "similarity", "raw",
         "valid", "unsafe", "95%", "net a month", ""),
        tuple(
            (
                row.name,
                count(row.dimensions),
                count(row.bytes_per_vector),
                milliseconds(row.lookup_ms),
                count(row.cut_texts),
                tr("exact only") if row.min_similarity is None else similarity(row.min_similarity),
                share(row.raw_hit_share.value),
                _share(row.valid_hit_share),
                *_unsafe_cell(row.unsafe_served_share),
                usd(row.net_saved.usd),
                said(row.warning),
            )
            for row in rows
        ),
        left=(0, 11),
        note="lookup: to embed one text on this machine, median; bytes: of one float32 vector.",
    )  # fmt: skip


def curve_table(rows: Sequence[EmbedderRow]) -> Table:
    """Return how many hits are right at equal coverage, by embedder."""
    reached = max((row.curve[-1].coverage for row in rows if row.curve), default=0.0)
    columns = [k for k, at in enumerate(EQUAL_COVERAGES) if at <= reached]
    return Table(
        "Right hits as a share of all hits, at equal shares of requests that hit",
        ("embedder", "mean", "widest", *(share(EQUAL_COVERAGES[k]) for k in columns)),
        tuple(
            (
                row.name,
                "" if row.mean_precision is None else share(row.mean_precision),
                share(row.curve[-1].coverage) if row.curve else "",
                *("" if (found := row.precision_at[k]) is None else share(found) for k in columns),
            )
            for row in rows
        ),
        left=(0,),
        note="mean: the area under the curve, up to the share of requests that all embedders "
        "reach; widest: the share that hits at the loosest similarity tried.",
    )


def _thresholds(section: SemanticSection) -> Table:
    errors, column, note = _errors(section)
    rows = list(zip(section.points, errors, strict=True))
    if section.exact is not None:
        rows.append((section.exact, ("",) * len(column)))
    return Table(
        "Semantic cache by similarity threshold",
        ("similarity", "hits", "raw", *column, "after warm-up", "valid", "unsafe", "95%",
         "net a month", ""),
        tuple(
            (
                similarity(point.min_similarity),
                count(point.hits),
                share(point.raw_hit_share.value),
                *error,
                _share(point.steady_hit_share),
                _share(point.valid_hit_share),
                *_unsafe_cell(point.unsafe_served_share),
                usd(point.net_saved.usd),
                tr("recommended") if point.recommended else "",
            )
            for point, error in rows
        ),
        left=(8 + len(column),),
        note=tr("raw, after warm-up, valid: shares of eligible requests; unsafe: of all requests.")
        + note,
    )  # fmt: skip


def _products(section: SemanticSection) -> tuple[Table, ...]:
    if section.recommended is None:
        return ()
    return (
        Table(
            tr("Similarity {similarity} in the settings of each product").format(
                similarity=similarity(section.recommended)
            ),
            ("product", "setting", "value", "default means"),
            tuple(
                (
                    said(one.product),
                    said(one.setting),
                    one.value,
                    similarity(one.default_similarity),
                )
                for one in translate(section.recommended)
            ),
            left=(0, 1),
            note=tr("With the embeddings of {embedder}; report.html has each as a snippet.").format(
                embedder=section.embedder
            ),
        ),
    )


def _errors(section: SemanticSection) -> tuple[list[tuple[str, ...]], tuple[str, ...], str]:
    """Write the errors of an approximate sweep: a cell for each point, the column, the note."""
    found = section.approximation
    if found is None:
        return [()] * len(section.points), (), ""
    note = tr(
        " Approximate: each text was looked for in {probes} of {cells} cells; error: approximate "
        "minus exact hit share, both measured on the first {n} requests."
    ).format(probes=count(found.probes), cells=count(found.cells), n=count(found.checked_requests))
    return [(share(error),) for error in found.errors], ("error",), note


def _scope(row: ScopeRow, name: str) -> tuple[str, ...]:
    return (
        name,
        count(row.partitions),
        share(row.raw_hit_share.value),
        _share(row.valid_hit_share),
        *_unsafe_cell(row.unsafe_served_share),
        usd(row.net_saved.usd),
    )


def _share(estimate: Estimate | None) -> str:
    return tr("not known") if estimate is None else share(estimate.value)


def _unsafe_cell(estimate: Estimate | None) -> Iterable[str]:
    return (_share(estimate), "" if estimate is None else share_range(estimate))


def sampled_table(sweep: SampledSweep) -> Table:
    """Return estimates with their intervals, by threshold."""
    return Table(
        "Semantic cache by similarity threshold, estimated from a sample",
        ("similarity", "raw", "95%", "net a month", "95%"),
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
        note="raw: share of eligible requests. Identical texts are included; they are counted, "
        "not estimated. Whether hits would be right is not judged on a sample.",
    )


def sampled_line(sweep: SampledSweep) -> str:
    """Describe how much was embedded, and what is doubtful about it."""
    part = share(sweep.embedded_texts / sweep.distinct_texts)
    told = tr(
        "Estimated from {n} of {all} distinct texts ({share}): {core} drawn at random, whose "
        "requests are counted, and {near} likely neighbours of theirs."
    ).format(
        n=count(sweep.embedded_texts),
        all=count(sweep.distinct_texts),
        share=part,
        core=count(sweep.core_texts),
        near=count(sweep.embedded_texts - sweep.core_texts),
    )
    return f"{told} {said(sweep.language_warning)}".strip()


def claims_table(claims: Sequence[Claim]) -> Table:
    """Return each promise, what was found, and why."""
    return Table(
        "What is often promised, on this log",
        ("promise", "promised", "found", "outcome", "grade", "why"),
        tuple(
            (
                said(one.claim),
                said(one.promised),
                said(one.found) or "–",
                tr(one.outcome),
                tr(one.grade),
                said(one.why),
            )
            for one in claims
        ),
        left=(0, 3, 4, 5),
    )
