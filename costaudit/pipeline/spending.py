"""Spend by groups that an audit leaves out, such as users and prompt templates."""

from collections.abc import Mapping, Sequence

import polars as pl

from costaudit.contracts.spend import Spend
from costaudit.costing.prices import price_requests
from costaudit.costing.spend import GROUPS, spend
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.simulate.prefix.groups import group_requests
from costaudit.simulate.prefix.prompts import read_prompts

_COLUMNS: Mapping[str, pl.Expr | pl.Series] = {
    **GROUPS,
    "user": pl.col("user"),
    "provider": pl.col("provider"),
}
SPEND_GROUPS = (*_COLUMNS, "template")


def spent_by(log: Loaded, options: AnalyzeOptions, names: Sequence[str]) -> Spend:
    """Add up what the log cost by each of SPEND_GROUPS that is named."""
    return spend(
        log.requests,
        price_requests(log.requests, options.prices),
        options.cost_mode,
        options.invoice_usd,
        {name: _templates(log) if name == "template" else _COLUMNS[name] for name in names},
    )


def _templates(log: Loaded) -> pl.Series:
    """Name each request's prompt template, as `prefix` does; null where it has no prompt."""
    found = group_requests(log.requests, read_prompts(log.requests, log.blocks), log.templates)
    names = [
        " ".join(part for part in (one.template_id, one.endpoint, one.model) if part)
        for one in found.groups
    ]
    return pl.Series(
        [names[number] if number >= 0 else None for number in found.index], dtype=pl.String
    )
