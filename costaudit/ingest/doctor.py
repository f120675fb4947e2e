"""What a log is, before anything is computed from it."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from costaudit.contracts.manifest import Check, Convention
from costaudit.contracts.run_dir import RunDir
from costaudit.ingest.assembly.quality import answers_and_gaps
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions, IngestSummary
from costaudit.progress import Progress, SilentProgress


@dataclass(frozen=True)
class Diagnosis:
    """What was detected and on what evidence, how tokens are counted, and what can't be told."""

    summary: IngestSummary  # files with source and evidence, and the fates of records
    layouts: dict[str, str]  # file → lines | values | csv | parquet | sse
    conventions: tuple[Convention, ...]
    checks: tuple[Check, ...]
    shares: dict[str, float]  # prompts, answers, times, ... → share of calls that have them
    cannot_tell: tuple[str, ...]  # what no call has, each with the question it would answer


def diagnose(
    inputs: Sequence[str], options: IngestOptions, progress: Progress | None = None
) -> Diagnosis:
    """Read logs whole, into a place that is removed again, and tell what they are.

    Raises what `ingest` raises.
    """
    with tempfile.TemporaryDirectory(prefix="costaudit-doctor-") as folder:
        run = RunDir(Path(folder))
        told = replace(options, strict=False)
        summary = ingest(inputs, run, told, progress or SilentProgress())
        shares, gaps = answers_and_gaps(run.requests())
        layouts = {each.name: each.layout for each in run.manifest().inputs}
    return Diagnosis(
        summary=summary,
        layouts=layouts,
        conventions=summary.conventions,
        checks=summary.checks,
        shares=shares,
        cannot_tell=gaps,
    )
