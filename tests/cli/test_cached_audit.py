"""A second audit of a log: what it doesn't need stays unloaded."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import write_log
from tests.conftest import Said

LOADED = "import sys; from costaudit.cli.main import main; main(sys.argv[1:]); print(*sys.modules)"


def test_an_audit_of_a_read_and_embedded_log_loads_no_model_and_starts_no_process(
    tmp_path: Path, costaudit: Callable[..., Said]
) -> None:
    audit = ("analyze", str(write_log(tmp_path / "log.jsonl")), "--out", "run", "--quiet")
    assert costaudit(*audit).code == 0
    again = subprocess.run(
        [sys.executable, "-c", LOADED, *audit],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = set(again.stdout.splitlines()[-1].split())
    assert "costaudit.pipeline.semantic.section" in loaded  # an audit, not an error
    assert not loaded & {"torch", "sentence_transformers", "openvino", "pandas", "sklearn"}
    assert "multiprocessing.resource_tracker" not in loaded  # it is a process of its own
