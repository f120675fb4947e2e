"""`costaudit warm`: a cache that is full of good answers on its first day."""

from pathlib import Path
from typing import Annotated

import typer

from costaudit.cli import options as opt
from costaudit.errors import UsageError


def warm(
    logs: opt.Logs,
    cache: Annotated[
        str, typer.Option("--cache", metavar="ADDRESS", help="redis:// cache to fill.")
    ] = "",
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Write the answers here (JSONL).")
    ] = None,
    prefix: Annotated[
        str, typer.Option("--prefix", help="Key prefix; no key may have it yet.")
    ] = "costaudit-warm",
    most: Annotated[int, typer.Option("--most", min=1, help="Answers, at most.")] = 500,
    threshold: Annotated[
        float, typer.Option("--threshold", help="Similarity that the cache runs at.")
    ] = 0.95,
    out: opt.Out = None,
    since: opt.Since = "",
    until: opt.Until = "",
    where: opt.Where = None,
    embedder: opt.Embedder = "minilm",
    scope: opt.Scope = "tenant,endpoint,model,system,tools",
    key: opt.Key = "conversation",
    seed: opt.Seed = 0,
    quiet: opt.Quiet = False,
    config: opt.Config = None,
) -> int:
    """Pre-fill a cache, or a file, with answers that were right.

    The dearest topics come first; each answer gets the lifetime that its topic supports.
    """
    from costaudit.cli.progress import progress_on_stderr
    from costaudit.cli.session import loaded_run, part_of_log, semantic_policy
    from costaudit.contracts.run_dir import check_writable
    from costaudit.pipeline.replaying.stream import warm_up
    from costaudit.pipeline.semantic.text_run import SemanticRun
    from costaudit.pipeline.settings import AnalyzeOptions
    from costaudit.replay.backends import cache_at
    from costaudit.replay.cache import reach
    from costaudit.replay.warm import check_fillable, warm_cache, write_warm_file

    if not cache and file is None:
        raise UsageError("There is nowhere to put the answers.", hint="Give --cache or --file.")
    policy = semantic_policy(embedder, scope, key, "", "fixed", None, "lru", "response", guard="")
    options = AnalyzeOptions(ingest=part_of_log(since, until, where), policy=policy, seed=seed)
    live = cache_at(cache) if cache else None
    if live is not None:
        check_fillable(live)
        reach(live)
    if file is not None:
        check_writable(file)
    log = loaded_run(logs, out, options, quiet=quiet)
    with progress_on_stderr(quiet) as progress:
        found = warm_up(SemanticRun(log, options, progress), threshold, most)
    if file is not None:
        write_warm_file(found.answers, found.scopes, file)
        typer.echo(f"{len(found.answers):,} answers are in {file}: they are texts from your log.")
    if live is not None:
        stored = warm_cache(found.answers, found.ready.texts, found.ready.vectors, live, prefix)
        typer.echo(f"{stored:,} answers are in {live.traits.name} under {prefix}.")
    return 0
