"""`costaudit demo`: the audit of a packaged sample."""

from importlib.resources import as_file, files

from costaudit.cli import options as opt


def demo(
    out: opt.Out = None,
    format: opt.Format = "terminal",
    quiet: opt.Quiet = False,
    no_color: opt.NoColor = False,
    config: opt.Config = None,
) -> int:
    """Audit a packaged sample log, to show what an audit is.

    The sample is the log of a support chatbot. Writes a run directory with report.html:
    costaudit-demo, or the one that --out names.
    """
    from pathlib import Path

    from costaudit.cli.session import audit_run
    from costaudit.pipeline.settings import AnalyzeOptions

    with as_file(files("costaudit.cli") / "demo.jsonl.zst") as log:
        return audit_run(
            [str(log)],
            out or Path("costaudit-demo"),
            AnalyzeOptions(),
            format,
            quiet=quiet,
            color=not no_color,
        )
