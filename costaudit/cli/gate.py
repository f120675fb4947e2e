"""`costaudit gate`: check budgets against an audit, for CI."""

import os
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costaudit.cli import options as opt
from costaudit.cli import values
from costaudit.errors import GateFailedError, InsufficientDataError, UsageError

if TYPE_CHECKING:
    from costaudit.contracts.audit import Audit, GateResult, Limit, SpendChange
    from costaudit.report.compare import Comparison


def gate(
    run: opt.Audited,
    baseline: opt.Baseline = None,
    max_unsafe_served: Annotated[
        str,
        typer.Option(
            metavar="SHARE",
            help="Maximum share of wrong answers, of all requests. [default: not checked]",
        ),
    ] = "",
    max_exposed_served: Annotated[
        str,
        typer.Option(
            metavar="SHARE",
            help="Maximum share of requests that get another user's data. [default: not checked]",
        ),
    ] = "",
    min_saving_usd_month: Annotated[
        str,
        typer.Option(
            metavar="USD", help="Minimum saving a month, in US dollars. [default: not checked]"
        ),
    ] = "",
    max_cost_regression: Annotated[
        str,
        typer.Option(
            metavar="SHARE", help="Maximum growth of spend beyond the noise. [default: not checked]"
        ),
    ] = "",
    min_prefix_read_share: Annotated[
        str,
        typer.Option(
            metavar="SHARE",
            help="Minimum share of input read from the provider's cache. [default: not checked]",
        ),
    ] = "",
    max_unpriced_share: Annotated[
        str,
        typer.Option(
            metavar="SHARE",
            help="Maximum share of tokens without a price; if more: exit 4. [default: not checked]",
        ),
    ] = "",
    min_prompt_coverage: Annotated[
        str,
        typer.Option(
            metavar="SHARE",
            help="Minimum share of rows with prompts; below it: exit 4. [default: not checked]",
        ),
    ] = "",
    junit: Annotated[
        Path | None,
        typer.Option("--junit", metavar="FILE", help="Write a JUnit report here. [default: none]"),
    ] = None,
    config: opt.Config = None,
) -> int:
    """Check budgets against an audit, and exit 3 if one is exceeded.

    Exits 4 if the audit can't tell. Prints a verdict in Markdown, and appends it to the file that
    $GITHUB_STEP_SUMMARY names.
    """
    from costaudit.cli.session import audit_at
    from costaudit.costing.gate import evaluate
    from costaudit.pipeline.change import causes_of_change
    from costaudit.pipeline.semantic.store import centres_of
    from costaudit.report.compare import compare
    from costaudit.report.markdown import MarkdownReporter
    from costaudit.report.reporters import JunitReporter, render

    shares = {
        "max_unsafe_served": max_unsafe_served,
        "max_exposed_served": max_exposed_served,
        "max_cost_regression": max_cost_regression,
        "min_prefix_read_share": min_prefix_read_share,
        "max_unpriced_share": max_unpriced_share,
        "min_prompt_coverage": min_prompt_coverage,
    }
    limits = _limits(shares, min_saving_usd_month)
    audit = audit_at(run)
    compared = None
    if baseline is not None:
        base = audit_at(baseline)
        centres = centres_of(baseline, base.semantic), centres_of(run, audit.semantic)
        compared = compare(base, audit, centres, causes_of_change(base, audit))
    results = evaluate(audit, limits, _change(compared, audit) if compared else None)
    verdict = render(audit, MarkdownReporter(gates=results, compared=compared))
    sys.stdout.buffer.write(verdict)
    sys.stdout.flush()
    _deliver(verdict, render(audit, JunitReporter(results)), junit)
    _raise_for(results)
    return 0


def _limits(shares: dict[str, str], saving: str) -> "dict[str, Limit]":
    from costaudit.contracts.audit import Limit

    limits = {
        rule: Limit(text, Decimal(str(values.share(text, f"--{rule.replace('_', '-')}"))))
        for rule, text in shares.items()
        if text
    }
    if saving:
        amount = values.dollars(saving, "--min-saving-usd-month", zero=True)
        limits["min_saving_usd_month"] = Limit(f"${amount:,f}", amount)
    if not limits:
        raise UsageError(
            "No budget is set.",
            hint="Set one with an option such as --max-unsafe-served 0.5%, or in [gate] of the "
            "costaudit.toml that --config names.",
        )
    return limits


def _change(compared: "Comparison", audit: "Audit") -> "SpendChange":
    from costaudit.contracts.audit import SpendChange

    spend = compared.spend
    assert spend.base is not None and spend.new is not None
    return SpendChange(
        spend.base,
        spend.new,
        spend.noise,
        compared.why_not,
        "a month" if audit.month.is_month else "in this log",
    )


def _deliver(verdict: bytes, tests: bytes, junit: Path | None) -> None:
    from costaudit.contracts.run_dir import atomic_write

    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("ab") as file:
            file.write(verdict)
    if junit is not None:
        with atomic_write(junit) as part:
            part.write_bytes(tests)


def _raise_for(results: "tuple[GateResult, ...]") -> None:
    from costaudit.report.language import renumbered

    failed, unclear = (
        [f"{one.rule} ({renumbered(f'{one.measured}, limit {one.limit}')})" for one in results
         if one.status == status]
        for status in ("failed", "insufficient")
    )  # fmt: skip
    if failed:
        raise GateFailedError(f"Gate failed: {'; '.join(failed)}.", hint="The verdict says why.")
    if unclear:
        raise InsufficientDataError(
            f"The gate can't be judged: {'; '.join(unclear)}.", hint="The verdict says why."
        )
