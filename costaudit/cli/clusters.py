"""`costaudit clusters`: the questions that people repeat."""

from costaudit.cli import options as opt


def clusters(
    logs: opt.Logs,
    out: opt.Out = None,
    since: opt.Since = "",
    until: opt.Until = "",
    where: opt.Where = None,
    embedder: opt.Embedder = "minilm",
    thresholds: opt.Thresholds = "0.70:0.99:0.01",
    scope: opt.Scope = opt.SCOPE,
    key: opt.Key = "conversation",
    max_wrong: opt.MaxWrong = "1%",
    show_prompts: opt.ShowPrompts = False,
    format: opt.Format = "terminal",
    seed: opt.Seed = 0,
    quiet: opt.Quiet = False,
    config: opt.Config = None,
) -> int:
    """Group questions into topics, ranked by money.

    For each topic: what a cache would save, and how long its answers stay valid.
    """
    from costaudit.cli.progress import progress_on_stderr
    from costaudit.cli.session import loaded_run, part_of_log, print_tables, semantic_policy
    from costaudit.cli.values import share
    from costaudit.pipeline.loaded import no_texts, nothing_to_compare
    from costaudit.pipeline.semantic.section import swept
    from costaudit.pipeline.settings import AnalyzeOptions
    from costaudit.report.tables.topics import cluster_tables

    options = AnalyzeOptions(
        ingest=part_of_log(since, until, where),
        policy=semantic_policy(embedder, scope, key),
        thresholds=thresholds,
        max_wrong_share=share(max_wrong, "--max-wrong"),
        show_prompts=show_prompts,
        seed=seed,
    )
    log = loaded_run(logs, out, options, quiet=quiet)
    with progress_on_stderr(quiet) as progress:
        result = swept(log, options, progress)
    if result is None:
        raise nothing_to_compare(log, options.policy)
    if log.hashed:
        raise no_texts(log)
    section = result.section
    print_tables(cluster_tables(section), format, section.sampled_clusters or section.clusters)
    return 0
