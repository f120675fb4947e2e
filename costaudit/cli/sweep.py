"""`costaudit sweep`: the semantic cache at every threshold."""

from typing import Annotated

import typer

from costaudit.cli import options as opt
from costaudit.errors import InsufficientDataError


def sweep(
    logs: opt.Logs,
    out: opt.Out = None,
    embedder: opt.Embedder = "minilm",
    thresholds: opt.Thresholds = "0.70:0.99:0.01",
    scope: opt.Scope = "tenant,endpoint,model,system,tools",
    key: opt.Key = "conversation",
    ttl: opt.Ttl = "",
    ttl_kind: opt.TtlKind = "fixed",
    max_entries: opt.MaxEntries = None,
    eviction: opt.Eviction = "lru",
    visible_after: opt.VisibleAfter = "response",
    guard: opt.Guard = "",
    max_wrong: opt.MaxWrong = "1%",
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="CONDITION",
            help="Exit 3 if it holds at the recommended point, such as 'unsafe_served>0.01' "
            "or 'hit_rate<0.2'.",
        ),
    ] = None,
    compare_embedders: Annotated[
        str,
        typer.Option(
            "--compare-embedders",
            metavar="NAME,...",
            help="Embed the log with each of these, and show them side by side instead.",
        ),
    ] = "",
    format: opt.TableFormat = "terminal",
    seed: opt.Seed = 0,
    quiet: opt.Quiet = False,
    config: opt.Config = None,
) -> int:
    """Simulate a semantic cache at every threshold, TTL and capacity."""
    from costaudit.cli.gates import check_conditions, read_conditions
    from costaudit.cli.progress import progress_on_stderr
    from costaudit.cli.run import loaded_run, print_tables, semantic_policy
    from costaudit.cli.values import names, share
    from costaudit.pipeline.embedders import compare_embedders as compare
    from costaudit.pipeline.semantic import swept
    from costaudit.pipeline.settings import AnalyzeOptions
    from costaudit.report.semantic_tables import embedder_table, size_line, sweep_tables

    conditions = read_conditions(fail_if or [])
    options = AnalyzeOptions(
        policy=semantic_policy(
            embedder, scope, key, ttl, ttl_kind, max_entries, eviction, visible_after, guard
        ),
        thresholds=thresholds,
        max_wrong_share=share(max_wrong, "--max-wrong"),
        seed=seed,
    )
    log = loaded_run(logs, out, options, quiet=quiet)
    with progress_on_stderr(quiet) as progress:
        if compare_embedders:
            rows = compare(log, options, names(compare_embedders), progress)
            print_tables([embedder_table(rows)], format, rows)
            return 0
        result = swept(log, options, progress)
    if result is None:
        raise InsufficientDataError(
            "The log holds no question that a semantic cache could compare.",
            hint="`costaudit doctor LOG` shows what the log can tell.",
        )
    section = result.section
    lead = f"{section.recommended_why} {size_line(section)}".strip()
    print_tables(sweep_tables(section), format, section, lead)
    check_conditions(conditions, section)
    return 0
