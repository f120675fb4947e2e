"""Prompt caching through the pipeline: a trace of block hashes, as a self-hosted server sees it."""

import os
from pathlib import Path

import pytest

from costaudit.contracts.run_dir import RunDir
from costaudit.ingest.options import IngestOptions
from costaudit.ingest.run import ingest
from costaudit.pipeline.loaded import load
from costaudit.pipeline.prompt_caching import self_hosted_curve
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import SilentProgress

DATA = Path(os.environ.get("COSTAUDIT_DATA", Path(__file__).parents[3] / "shared" / "data"))
TRACE = DATA / "mooncake" / "conversation_trace.jsonl.gz"


@pytest.mark.skipif(not TRACE.is_file(), reason="the Mooncake data set is not beside the project")
def test_an_hour_of_a_chat_service_reuses_what_its_publishers_counted(tmp_path: Path) -> None:
    """37.4 % of tokens and 36.6 % of blocks without a limit, 21.1 % of blocks with 10,000."""
    run = RunDir(tmp_path / "run")
    ingest([str(TRACE)], run, IngestOptions(), SilentProgress())
    small, unlimited = self_hosted_curve(load(run, AnalyzeOptions()), 512, (10_000,))
    assert unlimited.blocks is None
    assert round(unlimited.token_hit_share, 3) == 0.374
    assert round(unlimited.block_hit_share, 3) == 0.366
    assert round(small.block_hit_share, 3) == 0.211
