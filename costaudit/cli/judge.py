"""`costaudit judge`: get verdicts on simulated hits, from a model or from people."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from costaudit.cli import options as opt
from costaudit.cli.process import say


def judge(
    logs: opt.Logs,
    judge: Annotated[
        list[str],
        typer.Option(
            "--judge",
            metavar="NAME",
            help="openai:MODEL, anthropic:MODEL, bedrock:MODEL, nli:MODEL (a cross-encoder on this "
            "machine, by hub name or folder), human:FILE (.csv or .jsonl) or a class: "
            "file.py:Class. Name two to compare them.",
        ),
    ],
    sample: Annotated[
        int, typer.Option("--sample", metavar="N", min=2, help="Pairs to judge.")
    ] = 200,
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold",
            metavar="SIMILARITY",
            help="Judge the hits of a cache at this cosine similarity.",
        ),
    ] = 0.9,
    max_spend: Annotated[
        str,
        typer.Option(
            "--max-spend", metavar="USD", help="Stop before the judge costs more, in US dollars."
        ),
    ] = "0",
    out: opt.Out = None,
    since: opt.Since = "",
    until: opt.Until = "",
    where: opt.Where = None,
    embedder: opt.Embedder = "minilm",
    scope: opt.Scope = opt.SCOPE,
    key: opt.Key = "conversation",
    prices: opt.Prices = None,
    format: opt.Format = "terminal",
    seed: opt.Seed = 0,
    quiet: opt.Quiet = False,
    config: opt.Config = None,
) -> int:
    """Judge a sample of simulated hits, and correct the estimate.

    The price is printed before the first call. Verdicts are stored immediately: the same command
    continues where it stopped, and you pay for each pair once. Questions and answers of the sample
    are sent only to the judge that you name.
    """
    from costaudit.answers.judge.judge import RUBRIC
    from costaudit.answers.judge.verdicts import VerdictStore
    from costaudit.cli.progress import progress_on_stderr
    from costaudit.cli.session import loaded_run, part_of_log, print_tables, semantic_policy
    from costaudit.cli.values import dollars
    from costaudit.pipeline.semantic import judging
    from costaudit.pipeline.semantic.text_run import SemanticRun
    from costaudit.pipeline.settings import AnalyzeOptions
    from costaudit.report.language import separated, tr
    from costaudit.report.numbers import count
    from costaudit.report.tables.levers import agreement_table, judge_table

    policy = semantic_policy(embedder, scope, key)
    options = AnalyzeOptions(
        ingest=part_of_log(since, until, where), policy=policy, prices=prices, seed=seed
    )
    limit = dollars(max_spend, "--max-spend", zero=True)
    forms = {name: form for name in judge if (form := judging.form_of(name)) is not None}
    for form in forms.values():
        judging.check_form(form)
    models = {
        name: judging.priced_judge(name, prices, datetime.now(UTC))
        for name in judge
        if name not in forms
    }
    log = loaded_run(logs, out, options, quiet=quiet)
    said = []
    with progress_on_stderr(quiet) as progress:
        docket = judging.docket_of(SemanticRun(log, options, progress), threshold, sample)
        for name in judge:
            if name in forms:
                people = judging.judged_by_people(docket, forms[name])
                if people is None:
                    say(f"Wrote {forms[name]}: fill in right or wrong, then run this again.")
                    continue
                said.append(people)
                continue
            store = VerdictStore(log.run.path / "verdicts.jsonl")
            price = judging.price_of_judging(docket, models[name], store)
            say(
                f"{models[name].judge.name}: {price.calls} calls, at most ${price.usd:.4f}; "
                f"{price.known} verdicts are known; the limit is ${limit}.",
                err=True,
            )
            said.append(judging.judged_by_model(docket, models[name], store, limit, progress))
    judging.keep_misses(said, log.run)
    if said:
        lead = tr("{hits} of {n} requests hit at similarity {similarity}.").format(
            hits=count(docket.hits),
            n=count(docket.requests),
            similarity=separated(f"{threshold:.2f}"),
        )
        tables = [judge_table(one) for one in said]
        if len(said) > 1:
            tables.append(agreement_table(*judging.judges_agree(said[0], said[1])))
        print_tables(tables, format, {"rubric": RUBRIC, "judges": said}, lead)
        if format == "terminal":
            say(f"\nThe rubric:\n{RUBRIC}")
    return 0
