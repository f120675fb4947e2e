"""`costaudit compare` shows two audits side by side."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from costaudit.contracts.audit import write_audit
from costaudit.contracts.run_dir import RunDir
from costaudit.contracts.semantic import ClusterCentres
from costaudit.pipeline.semantic.store import write_centres
from tests.conftest import Said
from tests.report.sample_audit import AUDIT
from tests.report.sample_cost import money

Run = Callable[..., Said]


def two(folder: Path) -> tuple[str, str]:
    """Write a run directory, and an audit with a higher cost."""
    (folder / "base").mkdir()
    write_audit(AUDIT, folder / "base" / "audit.json")
    dearer = replace(AUDIT, ledger=replace(AUDIT.ledger, before=money("60000")))
    write_audit(dearer, folder / "new.json")
    return "base", "new.json"


def test_runs_and_files_for_a_terminal_and_for_a_comment(costaudit: Run, tmp_path: Path) -> None:
    said = costaudit("compare", *two(tmp_path))
    assert (said.code, said.err) == (0, "")
    # 60,000 - 41,200.20 = 18,799.80, which is 45.6 % of 41,200.20.
    assert said.out.startswith("Spend went from $41,200 to $60,000 a month: +$18,800 (+45.6%)")
    comment = costaudit("compare", "base", "new.json", "--format", "md").out
    assert comment.startswith("### Spend went from") and "| Spend a month |" in comment


def test_json_for_machines(costaudit: Run, tmp_path: Path) -> None:
    found = json.loads(costaudit("compare", *two(tmp_path), "--format", "json").out)
    spend = found["changes"][0]
    assert (spend["base"], spend["new"]) == ("41200.20", "60000")


def test_an_unknown_format_and_a_file_that_is_no_audit(costaudit: Run, tmp_path: Path) -> None:
    two(tmp_path)
    assert costaudit("compare", "base", "new.json", "--format", "html").code == 2
    (tmp_path / "log.jsonl").write_text('{"a": 1}\n')
    said = costaudit("compare", "base", "log.jsonl")
    assert said.code == 2 and "Traceback" not in said.err


def relabelled(folder: Path) -> None:
    """Write two runs with the same clusters under other ids and labels, and their centres."""
    assert AUDIT.semantic is not None
    rows = AUDIT.semantic.clusters
    other = tuple(
        replace(row, cluster_id=f"id{n}", label=f"word{n}, term{n}") for n, row in enumerate(rows)
    )[::-1]
    vectors = np.random.default_rng(3).normal(size=(len(rows), 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for name, named, held in (("base", rows, vectors), ("new", other, vectors[::-1])):
        audit = replace(AUDIT, semantic=replace(AUDIT.semantic, clusters=named))
        run = RunDir(folder / name)
        write_audit(audit, run.audit_path)
        write_centres(ClusterCentres("m", "1", tuple(r.cluster_id for r in named), held), run)


@pytest.mark.parametrize("form", ["compare", "gate"])
def test_runs_know_their_topics_by_the_centres(costaudit: Run, tmp_path: Path, form: str) -> None:
    relabelled(tmp_path)

    def shown(base: str, new: str) -> str:
        if form == "compare":
            return costaudit("compare", base, new, "--format", "md").out
        return costaudit("gate", new, "--baseline", base, "--max-unpriced-share", "1").out

    assert "clusters" not in shown("base", "new").lower()
    by_words = shown("base/audit.json", "new/audit.json")
    assert "New clusters" in by_words and "Clusters that are gone" in by_words
