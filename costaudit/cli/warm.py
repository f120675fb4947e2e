"""`costaudit warm`: fill a cache with good answers before its first day."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costaudit.cli import options as opt
from costaudit.cli.process import say
from costaudit.errors import BackendError, UsageError

if TYPE_CHECKING:
    from costaudit.pipeline.replaying.warming import Warmed


def warm(
    logs: opt.Logs,
    cache: Annotated[
        str,
        typer.Option(
            "--cache",
            metavar="ADDRESS",
            help="Cache to fill, in its own schema: redis://HOST[?name=INDEX&fields=tenant,model] "
            "of RedisVL, redis://HOST?flavour=langchain&llm=my_app.py:llm, "
            "http://HOST/v1?product=litellm, or your own class: file.py:Class. [default: none]",
        ),
    ] = "",
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", metavar="FILE", help="Write the answers here, as JSONL. [default: none]"
        ),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(
            "--header",
            metavar="NAME:VALUE",
            help="Send this header to a proxy. May be repeated. [default: none]",
        ),
    ] = None,
    most: Annotated[
        int, typer.Option("--most", metavar="N", min=1, help="Most answers to store.")
    ] = 500,
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold", metavar="SIMILARITY", help="Least cosine similarity of the cache's hits."
        ),
    ] = 0.95,
    out: opt.Out = None,
    since: opt.Since = "",
    until: opt.Until = "",
    where: opt.Where = None,
    embedder: opt.Embedder = "minilm",
    scope: opt.Scope = opt.SCOPE,
    key: opt.Key = "conversation",
    seed: opt.Seed = 0,
    quiet: opt.Quiet = False,
    config: opt.Config = None,
) -> int:
    """Pre-fill a cache, or a file, with answers that were right.

    The most expensive topics come first; each answer gets the lifetime that its topic supports.
    Leaves out answers that the cache would also serve to another scope of the log, and looks up
    what it wrote through the product's own client.
    """
    from costaudit.cli.progress import progress_on_stderr
    from costaudit.cli.session import loaded_run, part_of_log, semantic_policy
    from costaudit.cli.values import headers
    from costaudit.contracts.run_dir import check_writable
    from costaudit.pipeline.replaying.warming import fill, warm_up
    from costaudit.pipeline.semantic.text_run import SemanticRun
    from costaudit.pipeline.settings import AnalyzeOptions
    from costaudit.replay.warm import write_warm_file
    from costaudit.replay.warming.targets import needs_prompts, reach_target
    from costaudit.report.language import tr
    from costaudit.report.numbers import count

    if not cache and file is None:
        raise UsageError("No place for the answers is named.", hint="Add --cache or --file.")
    policy = semantic_policy(embedder, scope, key)
    options = AnalyzeOptions(ingest=part_of_log(since, until, where), policy=policy, seed=seed)
    whole = bool(cache) and needs_prompts(cache)
    if cache:
        reach_target(cache)
    if file is not None:
        check_writable(file)
    log = loaded_run(logs, out, options, quiet=quiet)
    with progress_on_stderr(quiet) as progress:
        run = SemanticRun(log, options, progress)
        found = warm_up(run, threshold, most, with_prompts=whole)
        warmed = fill(found, run, cache, headers(header or [])) if cache else None
    if file is not None:
        write_warm_file(found.answers, file)
        told = tr("{n} answers are in {file}: they are texts from your log.")
        say(told.format(n=count(len(found.answers)), file=file))
    return 0 if warmed is None else _say(warmed)


def _say(warmed: "Warmed") -> int:
    """Print what was written, left out and found again; raises an error if less was found."""
    from costaudit.report.language import said, tr
    from costaudit.report.numbers import count

    filled, checked = warmed.filled, warmed.checked
    told = tr("{n} answers were written into {cache}.")
    say(told.format(n=count(len(filled.answers)), cache=warmed.cache))
    if filled.present:
        told = tr("{n} questions had an entry already, which was left alone.")
        say(told.format(n=count(filled.present)))
    for reason, number in sorted(warmed.admitted.left_out.items(), key=lambda item: -item[1]):
        told = tr("{n} answers were left out: {why}.")
        say(told.format(n=count(number), why=said(reason)))
    told = tr(
        "Checked with {client}: {found} of {n} found, {other} behind a nearer answer of their "
        "scope, {missing} missing; {crossed} of {probes} questions from other scopes were served "
        "one."
    )
    say(
        told.format(
            client=checked.client,
            n=count(len(filled.answers)),
            found=count(checked.found),
            other=count(checked.other),
            missing=count(checked.missing),
            crossed=count(checked.crossed),
            probes=count(checked.probes),
        )
    )
    if checked.missing:
        raise BackendError(
            f"{checked.missing:,} written answers can't be found.",
            hint="The cache evicts, or its client compares other texts than these questions.",
        )
    return 0
