"""Prompt caching as tables."""

from collections.abc import Sequence

from costaudit.contracts.prefix import (
    CapacityPoint,
    OtherTemplates,
    PrefixSection,
    SessionAgreement,
    breaker_name,
)
from costaudit.report.language import said, separated, tr
from costaudit.report.numbers import count, counted, share, tokens, usd
from costaudit.report.tables.table import Table

_BREAKERS = 15


def prefix_tables(section: PrefixSection) -> tuple[Table, ...]:
    """Return tables of templates, breakers, providers, and agreement with the bill."""
    return (
        _templates(section),
        _breakers(section),
        Table(
            "The same traffic under each provider's cache rules, at today's input prices",
            ("rules", "read", "total", "not confirmed"),
            tuple(
                (
                    said(row.label),
                    share(row.read_share),
                    usd(row.cost.total_usd),
                    counted(len(row.unconfirmed), "point") if row.unconfirmed else "",
                )
                for row in section.providers
            ),
            left=(0, 3),
            note="Totals are over the log's period, each with the best markers of those rules.",
        ),
        *([_explicit(section)] if section.explicit_caches else []),
        Table(
            "Simulated reads against billed ones",
            ("provider", "model", "requests", "billed", "simulated", "ratio", "within 5%"),
            tuple(
                (
                    row.provider,
                    row.model,
                    count(row.requests),
                    tokens(row.billed_read_tokens),
                    tokens(row.simulated_read_tokens),
                    tr("not known") if row.ratio is None else separated(f"{row.ratio:.2f}"),
                    share(row.within_5_percent_share),
                )
                for row in section.agreement
            ),
            left=(0, 1),
        ),
        *([_sessions(section.session_agreement)] if section.session_agreement.sessions else []),
    )


def _sessions(found: SessionAgreement) -> Table:
    return Table(
        "Sessions by how far their simulated reads are from the billed ones",
        ("sessions", "within 5%", "from 5 to 25%", "further off"),
        (
            (
                count(found.sessions),
                share(found.within_5_percent / found.sessions),
                share(found.within_25_percent / found.sessions),
                share(found.beyond / found.sessions),
            ),
        ),
        left=(),
        note="A session or conversation that carries counters; each is in one column.",
    )


def _explicit(section: PrefixSection) -> Table:
    return Table(
        "Explicit caches for static heads, kept by the hour",
        ("template", "endpoint", "model", "requests", "kept after a use", "created", "read",
         "token-hours", "storage", "as billed", "with the cache", "saving a month"),
        tuple(
            (
                row.template_id,
                row.endpoint,
                row.model,
                count(row.requests),
                row.lifetime,
                count(row.creations),
                tokens(row.cached_tokens),
                tokens(round(row.token_hours)),
                usd(row.storage_usd),
                usd(row.before_usd),
                usd(row.after_usd),
                usd(row.saving_month.usd),
            )
            for row in section.explicit_caches
        ),
        left=(0, 1, 2),
        note="The application creates such a cache, names it in its requests and renews it with "
        "each use. It replaces the template's other plan; its saving is not part of the total.",
    )  # fmt: skip


def capacity_table(points: Sequence[CapacityPoint], block_tokens: int) -> Table:
    """Return the hit shares of a self-hosted server's cache, by its size."""
    return Table(
        tr("LRU cache of blocks of {n} tokens, by size").format(n=count(block_tokens)),
        ("blocks", "of blocks", "of input tokens"),
        tuple(
            (
                tr("no limit") if point.blocks is None else count(point.blocks),
                share(point.block_hit_share),
                share(point.token_hit_share),
            )
            for point in points
        ),
        left=(),
    )


def _templates(section: PrefixSection) -> Table:
    return Table(
        "Prompt templates",
        ("template", "endpoint", "model", "requests", "input", "static", "billed", "as is",
         "best", "sim./billed", "saving a month"),
        tuple(
            (
                row.template_id,
                row.endpoint,
                row.model,
                count(row.requests),
                tokens(row.input_tokens),
                share(row.static_share),
                tr("not known") if row.billed_read_share is None else share(row.billed_read_share),
                share(row.as_is_read_share),
                share(row.best_read_share),
                "" if row.read_ratio is None else separated(f"{row.read_ratio:.2f}"),
                tr("not claimed") if row.claim == "none" else usd(row.saving_month.usd),
            )
            for row in section.templates
        ),
        left=(0, 1, 2),
        note=" ".join(
            [
                tr("static: of input tokens, in a prefix that an earlier request had too."),
                *([others_line(section.other_templates)] if section.other_templates else []),
            ]
        ),
    )  # fmt: skip


def others_line(others: OtherTemplates) -> str:
    """Return what the templates that are not listed amount to."""
    told = tr(
        "{n} templates with less input are not listed: {requests} requests, {tokens} input tokens, "
        "a saving of {usd} a month together."
    )
    return told.format(
        n=count(others.templates),
        requests=count(others.requests),
        tokens=tokens(others.input_tokens),
        usd=usd(others.saving_month.usd),
    )


def _breakers(section: PrefixSection) -> Table:
    found = [(row, template) for template in section.templates for row in template.breakers]
    found.sort(key=lambda pair: (-pair[0].lost_usd_month.usd, pair[0].kind, pair[0].where))
    cut = tr(" (the dearest {shown} of {all})").format(shown=_BREAKERS, all=count(len(found)))
    return Table(
        tr("What breaks the prefix") + (cut if len(found) > _BREAKERS else ""),
        ("cause", "endpoint", "where", "requests", "tokens", "a month", "mend"),
        tuple(
            (
                said(breaker_name(row.kind)),
                template.endpoint,
                said(row.where),
                count(row.requests),
                tokens(row.lost_tokens),
                usd(row.lost_usd_month.usd),
                tr("the provider's doing") if row.provider_side else said(row.mend),
            )
            for row, template in found[:_BREAKERS]
        ),
        left=(0, 1, 2, 6),
    )
