"""`costaudit route`: try a cheaper model on a sample of the log's calls."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from costaudit.cli import options as opt
from costaudit.cli.process import say

if TYPE_CHECKING:
    from costaudit.contracts.route import RouteSection
    from costaudit.contracts.run_dir import RunDir


def route(
    logs: opt.Logs,
    candidate: Annotated[
        list[str],
        typer.Option(
            "--candidate",
            metavar="MODEL",
            help="openai:MODEL, anthropic:MODEL, bedrock:MODEL, https://HOST/v1?model=MODEL, or "
            "recorded:FILE?model=MODEL with answers in a file. Name several to compare them.",
        ),
    ],
    judge: Annotated[
        str,
        typer.Option(
            "--judge",
            metavar="NAME",
            help="openai:MODEL, anthropic:MODEL, bedrock:MODEL, or human:FILE (.csv or .jsonl).",
        ),
    ],
    sample: Annotated[
        int, typer.Option("--sample", metavar="N", min=30, help="Calls to try.")
    ] = 300,
    max_spend: Annotated[
        str,
        typer.Option(
            "--max-spend",
            metavar="USD",
            help="Stop before it costs more, in US dollars, including the judge.",
        ),
    ] = "0",
    max_loss: Annotated[
        str,
        typer.Option(
            "--max-loss",
            metavar="SHARE",
            help="Most worse answers that the router may cause, of all calls (upper bound).",
        ),
    ] = "5%",
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="NAME",
            help="Only calls of this model may move. [default: all models]",
        ),
    ] = "",
    out: opt.Out = None,
    since: opt.Since = "",
    until: opt.Until = "",
    where: opt.Where = None,
    prices: opt.Prices = None,
    format: opt.Format = "terminal",
    seed: opt.Seed = 0,
    quiet: opt.Quiet = False,
    config: opt.Config = None,
) -> int:
    """Try a cheaper model on a sample, and price a router.

    The price is printed before the first call. Answers and verdicts are stored immediately: the
    same command continues where it stopped, and you pay for each answer once. If the run has been
    analyzed, its report gets a section about the trial. Prompts of the sample are sent only to the
    candidate and the judge, and the candidate's answers only to the judge.
    """
    from costaudit.answers.judge.ppi import PERFECT
    from costaudit.answers.judge.verdicts import VerdictStore
    from costaudit.cli import values
    from costaudit.cli.progress import progress_on_stderr
    from costaudit.cli.session import loaded_run, part_of_log, print_tables
    from costaudit.pipeline.routing import route as routing
    from costaudit.pipeline.routing.candidates import candidate_at
    from costaudit.pipeline.semantic.judging import check_form, form_of, priced_judge
    from costaudit.pipeline.settings import AnalyzeOptions
    from costaudit.report.tables.route import route_tables

    now = datetime.now(UTC)
    options = routing.RouteOptions(
        sample=sample,
        max_spend_usd=values.dollars(max_spend, "--max-spend", zero=True),
        most_loss=values.share(max_loss, "--max-loss"),
        source=model or None,
        seed=seed,
    )
    tried = [candidate_at(one, prices, now) for one in candidate]
    form = form_of(judge)
    priced = None if form else priced_judge(judge, prices, now)
    if form:
        check_form(form)
    for one in tried:
        if not one.recorded:
            one.client().close()
    settings = AnalyzeOptions(ingest=part_of_log(since, until, where), prices=prices, seed=seed)
    log = loaded_run(logs, out, settings, quiet=quiet)
    store = VerdictStore(log.run.path / "verdicts.jsonl")
    sections = []
    with progress_on_stderr(quiet) as progress:
        for one in tried:
            trial = routing.Trial.of(log, one, options)
            calls, most = trial.sampled.most_usd
            say(
                f"{one.name}: {calls} calls, about ${trial.sampled.expected_usd:.4f} and at most "
                f"${most:.4f}, plus the judge; the limit is ${options.max_spend_usd}.",
                err=True,
            )
            tries = trial.sampled.answered(options.max_spend_usd, progress)
            if priced is None:
                assert form is not None
                people = routing.judged_by_people(trial, tries, form)
                if people is None:
                    say(f"Wrote {form}: fill in right or wrong, then run this again.")
                    return 0
                told = routing.told_by(f"human:{form.name}", tries, PERFECT, None)
                sections.append(routing.section_of(trial, tries, people, PERFECT, told))
                continue
            price = routing.price_of_judging(trial, tries, priced, store)
            say(
                f"{priced.judge.name}: {price.calls} calls, at most ${price.usd:.4f}; "
                f"{price.known} verdicts are known.",
                err=True,
            )
            said, error, run = routing.judged_by_model(trial, tries, priced, store, progress)
            told = routing.told_by(priced.judge.name, tries, error, run)
            sections.append(routing.section_of(trial, tries, said, error, told))
    _add_to_report(log.run, sections)
    tables = [table for section in sections for table in route_tables(section)]
    print_tables(tables, format, sections)
    if format == "terminal":
        for section in sections:
            if section.router.code:
                say(f"\nThe router for {section.candidate}, to paste:\n")
                typer.echo(section.router.code)
    return 0


def _add_to_report(run: "RunDir", sections: "list[RouteSection]") -> None:
    """Add the trials to the audit and the report of a run that was analyzed."""
    from costaudit.contracts.audit import read_audit, write_audit
    from costaudit.pipeline.analyze import write_report
    from costaudit.pipeline.routing.route import with_trials

    if run.audit_path.is_file():
        audit = with_trials(read_audit(run.audit_path), sections)
        write_audit(audit, run.audit_path)
        write_report(audit, run)
