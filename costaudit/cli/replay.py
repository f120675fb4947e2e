"""`costaudit replay`: the same requests through a live cache."""

from typing import Annotated

import typer

from costaudit.cli import options as opt
from costaudit.errors import BackendError


def replay(
    logs: opt.Logs,
    cache: Annotated[
        str,
        typer.Option(
            "--cache",
            metavar="ADDRESS",
            help="memory://, redis://HOST[?flavour=redisvl|vectorset], or the base URL of a "
            "caching proxy that speaks OpenAI's API.",
        ),
    ] = "memory://",
    upstream: Annotated[
        str,
        typer.Option(
            "--upstream",
            metavar="NAME",
            help="Who answers a miss: recorded (free), openai:MODEL, anthropic:MODEL, "
            "bedrock:MODEL or a base URL.",
        ),
    ] = "recorded",
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", help="Similarity. [default: the audit's recommendation]"),
    ] = None,
    out: opt.Out = None,
    since: opt.Since = "",
    until: opt.Until = "",
    where: opt.Where = None,
    embedder: opt.Embedder = "minilm",
    scope: opt.Scope = "tenant,endpoint,model,system,tools",
    key: opt.Key = "conversation",
    ttl: opt.Ttl = "",
    ttl_kind: opt.TtlKind = "fixed",
    max_entries: opt.MaxEntries = None,
    eviction: opt.Eviction = "lru",
    visible_after: opt.VisibleAfter = "response",
    guard: opt.Guard = "",
    speed: Annotated[
        str,
        typer.Option(
            "--speed", metavar="N|max", help="Log seconds per second; TTLs shrink with it."
        ),
    ] = "max",
    max_rate: Annotated[
        float | None, typer.Option("--max-rate", help="Requests a second, at most.")
    ] = None,
    shadow: Annotated[bool, typer.Option("--shadow", help="Only look up, store nothing.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the entries in the cache.")] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Start anew where an earlier replay was stopped.")
    ] = False,
    max_errors: Annotated[
        str,
        typer.Option(
            "--max-errors",
            metavar="SHARE",
            help="Share of requests that may fail; above it the exit code is 5.",
        ),
    ] = "5%",
    max_spend: Annotated[
        str,
        typer.Option("--max-spend", metavar="USD", help="Stop before live models cost more."),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what live models would cost, and stop.")
    ] = False,
    metrics_port: Annotated[
        int | None, typer.Option("--metrics-port", help="Serve Prometheus metrics on 127.0.0.1.")
    ] = None,
    format: opt.Format = "terminal",
    seed: opt.Seed = 0,
    quiet: opt.Quiet = False,
    config: opt.Config = None,
) -> int:
    """Replay a log through a live cache and check the prediction.

    Only keys that the replay creates are written, and they are removed at the end. An interrupted
    replay goes on where it stopped when the same command is given again.
    """
    from costaudit.cli.progress import progress_on_stderr
    from costaudit.cli.session import (
        loaded_run,
        part_of_log,
        print_tables,
        semantic_policy,
    )
    from costaudit.cli.values import above_zero, dollars, share
    from costaudit.pipeline.analyze import write_report
    from costaudit.pipeline.replaying.replay import ReplayPlan, reached, replay_log
    from costaudit.pipeline.settings import AnalyzeOptions
    from costaudit.replay.options import ReplayOptions
    from costaudit.report.tables.replay import replay_tables

    policy = semantic_policy(
        embedder, scope, key, ttl, ttl_kind, max_entries, eviction, visible_after, guard
    )
    options = AnalyzeOptions(ingest=part_of_log(since, until, where), policy=policy, seed=seed)
    plan = ReplayPlan(
        cache=cache,
        upstream=upstream,
        min_similarity=threshold,
        options=ReplayOptions(
            min_similarity=1.0,
            speed=None if speed == "max" else above_zero(speed, "--speed"),
            max_rate=max_rate,
            shadow=shadow,
            keep=keep,
            restart=restart,
            max_error_share=share(max_errors, "--max-errors"),
            max_spend_usd=dollars(max_spend, "--max-spend", zero=True) if max_spend else None,
        ),
        metrics_port=metrics_port,
        only_price=dry_run,
    )
    reached(plan, policy)
    log = loaded_run(logs, out, options, quiet=quiet)
    with progress_on_stderr(quiet) as progress:
        done = replay_log(log, options, plan, progress)
    if done.price is not None:
        typer.echo(
            f"Live models: at most {done.price.calls:,} calls and ${done.price.most_usd:.2f}; "
            f"${done.price.expected_usd:.2f} with the predicted hits.",
            err=True,
        )
    if done.section is None:
        if done.price is None:
            typer.echo("The log answers every miss: this replay is free.", err=True)
        return 0
    if done.own_rules:
        typer.echo(
            f"{done.section.cache} decides by its own configuration {' and '.join(done.own_rules)}:"
            " the prediction holds only where that says the same as --threshold and --scope.",
            err=True,
        )
    write_report(done.audit, log.run)
    lead = f"Replayed through {done.section.cache}, {done.section.pace}."
    print_tables(replay_tables(done.section), format, done.section, lead)
    if done.section.failed_share > plan.options.max_error_share:
        raise BackendError(
            f"{done.section.failed_share:.1%} of the requests that were sent failed: "
            f"{', '.join(f'{name} {n:,}' for name, n in done.section.errors.items())}.",
            hint="Its hit rate is not to be trusted. Mend the cache or the model and replay again "
            "with --restart, or allow more with --max-errors.",
        )
    return 0
