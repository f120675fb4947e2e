"""`costaudit monitor`: alerts and a dashboard from an audit's own numbers."""

from pathlib import Path
from typing import Annotated

import typer

from costaudit.cli import options as opt


def monitor(
    run: opt.Run,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for alerts.yml and dashboard.json.")
    ] = Path("monitoring"),
    config: opt.Config = None,
) -> int:
    """Write alert rules and a dashboard that expect what was found.

    The rules are for Prometheus, the dashboard is for Grafana.
    """
    from costaudit.contracts.audit import read_audit
    from costaudit.contracts.run_dir import RunDir
    from costaudit.replay.alerts import write_monitoring

    for path in write_monitoring(read_audit(RunDir(run).audit_path), out):
        typer.echo(str(path))
    return 0
