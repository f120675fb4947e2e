"""`costaudit replay` keeps what a policy says, or says why it can't."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import write_log
from tests.conftest import Said
from tests.replay.model_server import Model, serving


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--cache", "redis://127.0.0.1:9", "--max-entries", "500"), "500 entries a scope"),
        (("--cache", "http://127.0.0.1:9/v1", "--guard", "numbers"), "held to a guard"),
    ],
)
def test_what_a_cache_would_not_keep_is_refused_with_the_next_step(
    costaudit: Callable[..., Said], tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    log = write_log(tmp_path / "log.jsonl")
    found = costaudit("replay", str(log), *options)
    assert found.code == 2
    assert said in found.err and "memory://" in found.err
    assert not list(tmp_path.rglob("audit.json"))  # refused before anything was worked out


def test_memory_keeps_size_eviction_and_guard_as_predicted(
    costaudit: Callable[..., Said], tmp_path: Path
) -> None:
    log = write_log(tmp_path / "log.jsonl")
    rules = ("--max-entries", "2", "--eviction", "fifo", "--guard", "all", "--threshold", "0.8")
    found = costaudit("replay", str(log), *rules, "--format", "json", "--quiet")
    assert found.code == 0, found.err
    section = json.loads(found.out)
    assert section["agreed"] == section["requests"] == 8
    assert "max_entries=2,eviction=fifo" in section["policy_id"]
    # Two entries, first in, first out: the third question pushes the address out, which comes again
    # and serves the sixth, worded otherwise; the parcel is gone when it comes again.
    assert section["confusion"]["hit"]["hit"] == 1
    again = costaudit("replay", str(log), "--threshold", "1.01", "--format", "json", "--quiet")
    assert json.loads(again.out)["confusion"]["hit"]["hit"] == 2  # both asked again word for word


def test_the_recommendation_for_another_cache_is_not_taken_over(
    costaudit: Callable[..., Said], tmp_path: Path
) -> None:
    log = write_log(tmp_path / "log.jsonl")
    assert costaudit("analyze", str(log), "--out", "run", "--quiet").code == 0
    found = costaudit("replay", "run", "--guard", "numbers", "--quiet")
    assert found.code == 2
    assert "differs in guard" in found.err and "--threshold" in found.err
    assert costaudit("replay", "run", "--quiet").code == 0


def test_more_failures_than_allowed_are_no_success(
    costaudit: Callable[..., Said], tmp_path: Path
) -> None:
    log = write_log(tmp_path / "log.jsonl")
    faults = ["status 500"] * 2
    with serving(Model(faults=faults)) as url:
        given = ("replay", str(log), "--cache", f"{url}/v1?retries=0", "--max-spend", "1",
                 "--threshold", "0.9")  # fmt: skip
        found = costaudit(*given)
        assert found.code == 5
        assert "25.0% of the requests that were sent failed: http-500 2" in found.err
    with serving(Model(faults=["status 500"] * 2)) as url:
        again = costaudit(*given[:3], f"{url}/v1?retries=0", *given[4:], "--max-errors", "30%")
        assert again.code == 0
