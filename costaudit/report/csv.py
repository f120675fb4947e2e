"""The audit's numbers as one long table: one number per row, with unit, interval and grade."""

import csv
from collections.abc import Iterator
from io import StringIO

from costaudit.contracts.audit import Audit
from costaudit.contracts.grades import Estimate, Grade, Money
from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.contracts.semantic import ScopeRow, SweepPoint, VariantRow
from costaudit.contracts.spend import CostBreakdown
from costaudit.report.escaping import csv_cell
from costaudit.report.language import is_priced
from costaudit.report.numbers import similarity

COLUMNS = ("section", "group", "measure", "unit", "value", "low", "high", "grade")

Row = tuple[str, str, str, str, object, object, object, str]


class CsvReporter:
    """Write the main numbers of the audit for a spreadsheet or a data frame.

    These are the verdict, the ledger, spend, the semantic cache and prompt caching; the JSON report
    has all others, such as replay, sessions, forecast, plan and data quality."""

    name = "csv"
    suffix = ".csv"

    def render(self, audit: Audit) -> bytes:
        """Render with a header row; `section` names the part of the report."""
        sheet = StringIO()
        writer = csv.writer(sheet, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        for row in _rows(audit):
            if not audit.month.is_month:
                row = (*row[:2], row[2].replace("_month", "_log"), *row[3:])
            writer.writerow(csv_cell(cell) if isinstance(cell, str) else cell for cell in row)
        return sheet.getvalue().encode()


def _rows(audit: Audit) -> Iterator[Row]:
    yield from _ledger(audit)
    grade = audit.quality.spend_grade  # in the log, unscaled
    for name, groups in audit.spend.by.items():
        for group in groups:
            yield from _cost(f"spend.{name}", group.group, group.cost, grade)
            if group.month is not None:
                yield _money(f"spend.{name}", group.group, "cost_month", group.month)
    for daily in audit.spend.daily:
        label = f"{daily.day} {daily.provider} {daily.model}"
        yield from _cost("spend.day_model", label, daily.cost, grade)
    yield from _semantic(audit)
    yield from _prefix(audit)


def _ledger(audit: Audit) -> Iterator[Row]:
    ledger = audit.ledger
    yield _money("verdict", "saving", "saving_month", ledger.saving)
    yield _money("verdict", "after", "cost_month", ledger.after_firm)
    yield _money("ledger", "before", "cost_month", ledger.before)
    for step in ledger.steps:
        yield _money("ledger", step.lever, "saved_month", step.saved)
        yield _money("ledger", step.lever, "saved_alone_month", step.alone)
        yield _money("ledger", step.lever, "running_cost_month", step.running_cost)
    for step in ledger.left_out:
        yield _money("left_out", step.lever, "saved_month", step.saved)
        yield _money("left_out", step.lever, "saved_alone_month", step.alone)
        yield _money("left_out", step.lever, "running_cost_month", step.running_cost)
    yield _money("ledger", "overlap", "overlap_month", ledger.overlap)
    yield _money("ledger", "after", "cost_month", ledger.after)


def _cost(section: str, group: str, cost: CostBreakdown, grade: Grade) -> Iterator[Row]:
    yield (section, group, "requests", "requests", cost.requests, None, None, "measured")
    for name in TOKEN_CLASSES:
        yield (section, group, name, "tokens", getattr(cost, name), None, None, "measured")
    known = cost.total_usd if cost.total_usd or not cost.unpriced else None
    yield (section, group, "total", "usd", known, None, None, grade)
    for name, amount in cost.unpriced.items():
        unit = "requests" if name == "units" else "tokens"
        yield (section, group, f"unpriced {name}", unit, amount, None, None, "measured")


def _semantic(audit: Audit) -> Iterator[Row]:
    semantic = audit.semantic
    if semantic is None:
        return
    for point in semantic.all_points:
        group = similarity(point.min_similarity)
        yield ("sweep", group, "hits", "requests", point.hits, None, None, "simulated")
        yield from _rates("sweep", group, point)
    for scope in semantic.scopes:
        yield from _rates("scope", " + ".join(scope.scope) or "global", scope)
    for scope in semantic.without_field:
        yield from _rates("scope_without", scope.removed, scope)
    for variant in semantic.variants:
        yield from _rates("variant", variant.name, variant)
    for cluster in semantic.clusters:
        group = f"{cluster.cluster_id} {cluster.label}"
        yield ("cluster", group, "requests", "requests", cluster.requests, None, None, "simulated")
        yield ("cluster", group, "cost", "usd", cluster.cost_usd, None, None, "simulated")
    for sampled in semantic.sampled_clusters.rows if semantic.sampled_clusters else ():
        group = f"{sampled.cluster_id} {sampled.label}"
        for name in ("request_share", "share", "hit_share"):
            one: Estimate = getattr(sampled, name)
            yield ("cluster", group, name, "share", one.value, one.low, one.high, one.grade)
        yield _money("cluster", group, "cost", sampled.cost)


def _rates(section: str, group: str, row: SweepPoint | ScopeRow | VariantRow) -> Iterator[Row]:
    for name in ("raw_hit_share", "valid_hit_share", "unsafe_served_share"):
        estimate: Estimate | None = getattr(row, name)
        if estimate is not None:
            bounds = (estimate.low, estimate.high)
            yield (section, group, name, "share", estimate.value, *bounds, estimate.grade)
    yield _money(section, group, "net_saved_month", row.net_saved)


def _prefix(audit: Audit) -> Iterator[Row]:
    for template in audit.prefix.templates if audit.prefix else ():
        group = f"{template.template_id} {template.endpoint} {template.model}"
        static = template.static_share
        yield ("template", group, "static_share", "share", static, None, None, "estimated")
        yield _money("template", group, "saving_month", template.saving_month)
        for breaker in template.breakers:
            where = f"{group}: {breaker.kind}, {breaker.where}"
            yield _money("breaker", where, "lost_month", breaker.lost_usd_month)
    for provider in audit.prefix.providers if audit.prefix else ():
        yield from _cost("provider", provider.label, provider.cost, "simulated")
    for cache in audit.prefix.explicit_caches if audit.prefix else ():
        group = f"{cache.template_id} {cache.endpoint} {cache.model}"
        read, storage = cache.cached_tokens, cache.storage_usd
        yield ("explicit_cache", group, "reads", "tokens", read, None, None, "simulated")
        yield ("explicit_cache", group, "storage", "usd", storage, None, None, "simulated")
        yield _money("explicit_cache", group, "saving_month", cache.saving_month)


def _money(section: str, group: str, measure: str, money: Money) -> Row:
    known = money.usd > 0 or is_priced()
    values = (money.usd, money.low_usd, money.high_usd) if known else (None, None, None)
    return (section, group, measure, "usd", *values, money.grade)
