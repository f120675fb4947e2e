"""`costaudit replay`: send the log's requests through a live cache."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from costaudit.cli import options as opt
from costaudit.cli.process import say
from costaudit.errors import BackendError, UsageError

if TYPE_CHECKING:
    from costaudit.contracts.replay import ReplaySection
    from costaudit.pipeline.replaying.replay import Replayed
    from costaudit.replay.presets import Preset


@dataclass(frozen=True)
class Rules:
    """The options about a cache's rules; a preset replaces those left at their defaults."""

    scope: str = opt.SCOPE
    key: str = "conversation"
    ttl: str = ""
    ttl_kind: str = "fixed"
    max_entries: int | None = None
    eviction: str = "lru"
    no_bypass: str = ""
    scope_after: str = ""

    def filled(self, preset: "Preset") -> "Rules":
        """Return the rules, with a product's own for options that were not set."""
        usual, theirs = (
            Rules(),
            {
                "scope": ",".join(preset.scope),
                "key": preset.key,
                "ttl": preset.ttl,
                "ttl_kind": preset.ttl_kind,
                "max_entries": preset.max_entries,
                "eviction": preset.eviction,
                "no_bypass": ",".join(preset.no_bypass),
                "scope_after": ",".join(preset.scope_after),
            },
        )
        same = {name for name in theirs if getattr(self, name) == getattr(usual, name)}
        return replace(self, **{name: theirs[name] for name in same})  # type: ignore[arg-type]


def replay(
    logs: Annotated[
        list[str] | None, typer.Argument(metavar="LOG", help=opt.LOGS_HELP, show_default=False)
    ] = None,
    cache: Annotated[
        str,
        typer.Option(
            "--cache",
            metavar="ADDRESS",
            help="memory://, redis://HOST[?flavour=redisvl|vectorset], the base URL of a caching "
            "proxy with OpenAI's API, or your own class with get and set: module:Class "
            "or file.py:Class[?ARGUMENT=VALUE].",
        ),
    ] = "memory://",
    upstream: Annotated[
        str,
        typer.Option(
            "--upstream",
            metavar="NAME",
            help="Who answers a miss: recorded (free), openai:MODEL, anthropic:MODEL, "
            "bedrock:MODEL or a base URL. For a caching proxy, recorded serves the log's answers "
            "at http://127.0.0.1:8788/v1, which the proxy's configuration must name. "
            "[default: recorded; a proxy uses its own model]",
            show_default=False,
        ),
    ] = "",
    header: Annotated[
        list[str] | None,
        typer.Option(
            "--header",
            metavar="NAME:VALUE",
            help="Send this header to a caching proxy. May be repeated. [default: none]",
        ),
    ] = None,
    isolate: Annotated[
        bool,
        typer.Option(
            "--isolate",
            help="Use a separate namespace of this run in a caching proxy. [default: none, as in "
            "production]",
        ),
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            metavar="SIMILARITY",
            help="Least cosine similarity of a hit. [default: the audit's recommendation]",
        ),
    ] = None,
    out: opt.Out = None,
    since: opt.Since = "",
    until: opt.Until = "",
    where: opt.Where = None,
    embedder: opt.Embedder = "minilm",
    scope: opt.Scope = opt.SCOPE,
    key: opt.Key = "conversation",
    ttl: opt.Ttl = "",
    ttl_kind: opt.TtlKind = "fixed",
    max_entries: opt.MaxEntries = None,
    eviction: opt.Eviction = "lru",
    visible_after: opt.VisibleAfter = "response",
    preset: Annotated[
        str,
        typer.Option(
            "--preset",
            metavar="PRODUCT",
            help="Predict with a product's own rules: redisvl, langchain-redis, litellm-local, "
            "litellm-redis, litellm-semantic, gptcache, portkey, kong, apim or article. "
            "Options on the command line override it. [default: the options' own rules]",
        ),
    ] = "",
    cache_ttl: Annotated[
        str,
        typer.Option(
            "--cache-ttl",
            metavar="TIME",
            help="TTL of the cache's own configuration, for the prediction; use it with "
            "--ttl-kind. [default: --ttl]",
        ),
    ] = "",
    no_bypass: Annotated[
        str,
        typer.Option(
            "--no-bypass",
            metavar="REASONS",
            help="Requests that this cache also stores: temperature, tool_use, finish_reason, "
            "refusal, no_answer, images, truncated. [default: none]",
        ),
    ] = "",
    scope_after: Annotated[
        str,
        typer.Option(
            "--scope-after",
            metavar="FIELD,...",
            help="Fields that this cache checks only on the nearest entry; a difference is a miss. "
            "[default: none]",
        ),
    ] = "",
    guard: opt.Guard = "",
    speed: Annotated[
        str,
        typer.Option(
            "--speed", metavar="N|max", help="Log seconds per second; TTLs are divided by it."
        ),
    ] = "max",
    max_rate: Annotated[
        float | None,
        typer.Option("--max-rate", metavar="N", help="Most requests a second. [default: no limit]"),
    ] = None,
    embed_ms: Annotated[
        float | None,
        typer.Option(
            "--embed-ms",
            metavar="MS",
            min=0,
            help="Milliseconds to embed a question, as part of a hit's latency. [default: measured "
            "on this machine; none for a proxy, which embeds itself]",
            show_default=False,
        ),
    ] = None,
    shadow: Annotated[bool, typer.Option("--shadow", help="Only look up, store nothing.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the entries in the cache.")] = False,
    clean: Annotated[
        bool,
        typer.Option(
            "--clean",
            help="Remove what your earlier replays left in the redis:// cache, and stop.",
        ),
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Start again instead of continuing an earlier replay.")
    ] = False,
    max_errors: Annotated[
        str,
        typer.Option(
            "--max-errors",
            metavar="SHARE",
            help="Share of requests that may fail; above it, the exit code is 5.",
        ),
    ] = "5%",
    max_spend: Annotated[
        str,
        typer.Option(
            "--max-spend",
            metavar="USD",
            help="Stop before live models cost more, in US dollars. [default: 0]",
        ),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what live models would cost, and stop.")
    ] = False,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            "--metrics-port",
            metavar="PORT",
            help="Serve Prometheus metrics on this port of 127.0.0.1. [default: none]",
        ),
    ] = None,
    format: opt.Format = "terminal",
    seed: opt.Seed = 0,
    quiet: opt.Quiet = False,
    config: opt.Config = None,
) -> int:
    """Replay a log through a live cache and check the prediction.

    Writes only keys of its own, and removes them at the end. The same command continues an
    interrupted replay where it stopped.
    """
    from costaudit.cli.progress import progress_on_stderr
    from costaudit.cli.session import (
        EntryLife,
        loaded_run,
        part_of_log,
        print_tables,
        semantic_policy,
    )
    from costaudit.cli.values import (
        above_zero,
        dollars,
        headers,
        names,
        scope_fields,
        share,
    )
    from costaudit.pipeline.analyze import write_report
    from costaudit.pipeline.replaying.replay import ReplayPlan, reached, replay_log
    from costaudit.pipeline.settings import AnalyzeOptions
    from costaudit.replay.backends import cleaned
    from costaudit.replay.options import ReplayOptions
    from costaudit.replay.presets import preset_named
    from costaudit.report.language import said, tr
    from costaudit.report.tables.replay import replay_tables

    if clean:
        for line in cleaned(cache):
            say(line)
        return 0
    if not logs:
        raise UsageError("There is no log to replay.", hint="Name a log or a run directory.")
    rules = Rules(
        scope, key, cache_ttl or ttl, ttl_kind, max_entries, eviction, no_bypass, scope_after
    )
    if preset:
        known = preset_named(preset)
        rules = rules.filled(known)
        threshold = known.threshold if threshold is None else threshold
    policy = replace(
        semantic_policy(
            embedder,
            rules.scope,
            rules.key,
            EntryLife(
                rules.ttl, rules.ttl_kind, rules.max_entries, rules.eviction, visible_after
            ),
            guard,
        ),
        no_bypass=names(rules.no_bypass),
        scope_after=scope_fields(rules.scope_after),  # type: ignore[arg-type]  # the policy refuses others
    )  # fmt: skip
    options = AnalyzeOptions(ingest=part_of_log(since, until, where), policy=policy, seed=seed)
    plan = ReplayPlan(
        cache=cache,
        upstream=upstream,
        headers=headers(header or []),
        min_similarity=threshold,
        options=ReplayOptions(
            min_similarity=1.0,
            speed=None if speed == "max" else above_zero(speed, "--speed"),
            max_rate=max_rate,
            shadow=shadow,
            keep=keep,
            restart=restart,
            isolate=isolate,
            max_error_share=share(max_errors, "--max-errors"),
            max_spend_usd=dollars(max_spend, "--max-spend", zero=True) if max_spend else None,
        ),
        metrics_port=metrics_port,
        only_price=dry_run,
        describes=bool(preset or cache_ttl),
        embed_ms=embed_ms,
    )
    for warning in reached(plan, policy).warnings:
        say(f"Warning: {warning}", err=True)
    log = loaded_run(logs, out, options, quiet=quiet)
    with progress_on_stderr(quiet) as progress:
        done = replay_log(log, options, plan, progress)
    _say_price(done)
    if done.section is None:
        return 0
    write_report(done.audit, log.run)
    lead = tr("Replayed through {cache}, {pace}.").format(
        cache=done.section.cache, pace=said(done.section.pace)
    )
    print_tables(replay_tables(done.section), format, done.section, lead)
    _say_notes(done)
    return _failed(done.section, plan.options.max_error_share)


def _say_price(done: "Replayed") -> None:
    if done.price is not None:
        say(
            f"Live models: at most {done.price.calls:,} calls and ${done.price.most_usd:.2f}; "
            f"${done.price.expected_usd:.2f} with the predicted hits.",
            err=True,
        )
    elif done.section is None:
        say("The log answers every miss: this replay is free.", err=True)


def _say_notes(done: "Replayed") -> None:
    section = done.section
    if section is not None and done.own_rules:
        say(
            f"The configuration of {section.cache} decides {', '.join(done.own_rules)}: the "
            "prediction is valid only if --threshold, --scope, --key and --ttl are the same.",
            err=True,
        )
    for note in section.notes if section is not None else ():
        say(f"Note: {note}", err=True)


def _failed(section: "ReplaySection", most: float) -> int:
    """Raise BackendError if more requests failed than allowed; else return 0."""
    if section.failed_share <= most:
        return 0
    raise BackendError(
        f"{section.failed_share:.1%} of the sent requests failed: "
        f"{', '.join(f'{name} {n:,}' for name, n in section.errors.items())}.",
        hint="Its hit rate can't be trusted. Repair the cache or the model and replay again "
        "with --restart, or allow more with --max-errors.",
    )
