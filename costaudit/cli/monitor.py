"""`costaudit monitor`: write alerts and a dashboard with an audit's numbers."""

from pathlib import Path
from typing import Annotated

import typer

from costaudit.cli import options as opt
from costaudit.cli.process import say


def monitor(
    run: opt.Run,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for alerts.yml and dashboard.json.")
    ] = Path("monitoring"),
    quiet: opt.Quiet = False,
    config: opt.Config = None,
) -> int:
    """Write alert rules and a dashboard with the audit's numbers.

    The rules are for Prometheus, the dashboard is for Grafana. Each hour of the week has its own
    limits; the log's own traffic, with the predicted cache, stays within them. LiteLLM and
    `costaudit.metrics` emit the metrics.
    """
    from costaudit.cli.progress import progress_on_stderr
    from costaudit.contracts.audit import read_audit
    from costaudit.contracts.run_dir import RunDir
    from costaudit.pipeline.loaded import ingested
    from costaudit.pipeline.replaying.monitoring import traffic_as_predicted
    from costaudit.pipeline.settings import AnalyzeOptions
    from costaudit.replay.monitoring.alerts import write_monitoring
    from costaudit.report.language import said, tr

    audit = read_audit(RunDir(run).audit_path)
    with progress_on_stderr(quiet) as progress:
        log = ingested([str(run)], RunDir(run), AnalyzeOptions(), progress)
        traffic = traffic_as_predicted(log, audit, progress)
    for note in traffic.notes if traffic is not None else ():
        say(f"{tr('Note')}: {said(note)}", err=True)
    for path in write_monitoring(audit, out, traffic):
        say(str(path))
    return 0
