"""`costaudit replay` follows a policy, or says why it can't."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import write_log
from tests.conftest import Said
from tests.ingest.conftest import chat
from tests.replay.model_server import Model, serving


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--cache", "redis://127.0.0.1:9", "--max-entries", "500"), "500 entries a scope"),
        (("--cache", "http://127.0.0.1:9/v1", "--guard", "numbers"), "apply a guard"),
    ],
)
def test_what_a_cache_would_not_keep_is_refused_with_the_next_step(
    costaudit: Callable[..., Said], tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    log = write_log(tmp_path / "log.jsonl")
    found = costaudit("replay", str(log), *options)
    assert found.code == 2
    assert said in found.err and "memory://" in found.err
    assert not list(tmp_path.rglob("audit.json"))  # refused before any work


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
    # Two entries, first in, first out: the third question evicts the address, which is asked again
    # and serves the sixth, a rewording; the parcel has been evicted when it is asked again.
    assert section["confusion"]["hit"]["hit"] == 1
    again = costaudit("replay", str(log), "--threshold", "1.01", "--format", "json", "--quiet")
    assert json.loads(again.out)["confusion"]["hit"]["hit"] == 2  # both are repeated verbatim


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
        assert "25.0% of the sent requests failed: http-500 2" in found.err
    with serving(Model(faults=["status 500"] * 2)) as url:
        again = costaudit(*given[:3], f"{url}/v1?retries=0", *given[4:], "--max-errors", "30%")
        assert again.code == 0


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        (("--preset", "article"), ("key=last_user", "ttl_s=3600.0", "min_similarity=0.79",
                                   "scope=none", "no_bypass=temperature+tool_use")),
        (("--preset", "redisvl", "--ttl", "2h"), ("ttl_kind=sliding", "ttl_s=7200.0",
                                                  "min_similarity=0.9")),
        pytest.param(
            ("--preset", "litellm-semantic", "--threshold", "0.8"),
            ("key=prompt", "scope=model+tools"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("--cache-ttl", "5m", "--threshold", "0.9"),
            ("ttl_s=300.0", "key=conversation"),
            marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_a_product_s_rules_are_told_to_the_prediction(
    costaudit: Callable[..., Said], tmp_path: Path, options: tuple[str, ...], rules: tuple[str, ...]
) -> None:
    log = write_log(tmp_path / "log.jsonl")
    found = costaudit("replay", str(log), *options, "--format", "json", "--quiet")
    assert found.code == 0, found.err
    section = json.loads(found.out)
    assert all(rule in section["policy_id"] for rule in rules), section["policy_id"]
    assert section["agreed"] == section["requests"] == 8


def test_an_unknown_product_is_refused(costaudit: Callable[..., Said], tmp_path: Path) -> None:
    said = costaudit("replay", str(write_log(tmp_path / "log.jsonl")), "--preset", "squid")
    assert said.code == 2 and "litellm-local" in said.err


EVICTING = """
class Evicting:
    def __init__(self):
        self.kept = {}
    def get(self, question, context):
        return self.kept.get(question)
    def set(self, question, answer, context):
        self.kept[question] = answer
        while len(self.kept) > 50:
            self.kept.pop(next(iter(self.kept)))
"""


@pytest.mark.slow
def test_a_cache_of_other_rules_is_explained_by_them(
    costaudit: Callable[..., Said], tmp_path: Path
) -> None:
    own = tmp_path / "own.py"
    own.write_text(EVICTING)
    rng = random.Random(4)
    lines = [chat(n, f"Where is page {rng.randint(1, 70)}?", answer=f"On shelf {n}.")
             for n in range(400)]  # fmt: skip
    log = write_log(tmp_path / "log.jsonl", lines)
    rules = ("--threshold", "1.01", "--visible-after", "request")
    said = costaudit(
        "replay", str(log), "--cache", f"{own}:Evicting", *rules, "--format", "json", "--quiet"
    )
    section = json.loads(said.out)
    first = section["rules"][0]
    assert first["kind"] == "size" and first["taken"] == 1
    assert section["reasons"]["another rule"] >= 0.8 * (section["requests"] - section["agreed"])
    table = costaudit("report", "costaudit-log", "--format", "md").out
    assert "Rules of the cache, one changed at a time" in table


@pytest.mark.parametrize("scope", ["none", pytest.param("global", marks=pytest.mark.slow)])
def test_no_scope_is_one_cache_for_all(
    costaudit: Callable[..., Said], tmp_path: Path, scope: str
) -> None:
    log = write_log(tmp_path / "log.jsonl")
    found = costaudit("replay", str(log), "--scope", scope, "--threshold", "0.9", "--format",
                      "json", "--quiet")  # fmt: skip
    assert found.code == 0 and "scope=none" in json.loads(found.out)["policy_id"]


def test_embedding_is_part_of_a_hit_and_shown_apart(
    costaudit: Callable[..., Said], tmp_path: Path
) -> None:
    log = write_log(tmp_path / "log.jsonl")
    rules = ("--threshold", "0.9", "--format", "json", "--quiet")
    rows = {}
    for given in ("0", "700"):
        said = costaudit("replay", str(log), *rules, "--embed-ms", given)
        latencies = json.loads(said.out)["latencies"]
        rows[given] = {row["name"]: row["p50_ms"] for row in latencies}
    apart = "embedding a question, part of hits and misses"
    assert apart not in rows["0"] and rows["700"][apart] == pytest.approx(700, rel=0.01)
    assert rows["0"]["hits"] < 350 and 700 <= rows["700"]["hits"] < 1050
    assert rows["700"]["lookups"] < 350  # a lookup is only the cache's part
    measured = costaudit("replay", str(log), *rules)
    found = {row["name"]: row["p50_ms"] for row in json.loads(measured.out)["latencies"]}
    assert found[apart] > 0
