"""`costaudit warm` prints what it wrote, skipped and found again."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import write_log
from tests.conftest import Said
from tests.ingest.conftest import chat
from tests.replay.conftest import RedisServer, redis_server, shared_redis  # noqa: F401

QUESTIONS = ("How do I change my address?", "When will my parcel arrive?")


def log_of(folder: Path, tenants: tuple[str, ...]) -> str:
    """Write a log in which each tenant asks both questions twelve times, with its own answers."""
    records = []
    for n in range(24 * len(tenants)):
        tenant = tenants[n // 2 % len(tenants)]
        record = chat(n, QUESTIONS[n % 2], answer=f"{tenant}: see page {n % 2}.")
        record["metadata"] = {"tenant": tenant}
        records.append(record)
    return str(write_log(folder / "log.jsonl", records))


def test_redisvl_is_filled_and_checked_by_its_own_client(
    costaudit: Callable[..., Said],
    tmp_path: Path,
    redis_server: RedisServer,  # noqa: F811
) -> None:
    log = log_of(tmp_path, ("acme", "globex"))
    address = redis_server.url("name=faq")
    try:
        said = costaudit("warm", log, "--cache", address, "--file", "answers.jsonl", "--quiet")
        assert said.code == 0, said.err
        assert "4 answers were written into" in said.out
        assert "4 of 4 found" in said.out and "0 missing; 0 of 4 questions" in said.out
        lines = [json.loads(line) for line in Path("answers.jsonl").read_text().splitlines()]
        assert {line["scope"]["tenant"] for line in lines} == {"acme", "globex"}

        mixed = costaudit(
            "warm", log, "--cache", redis_server.url("name=one&fields=none"), "--quiet"
        )
        assert mixed.code == 4 and "tenant would be mixed" in mixed.err
        assert "name=llmcache-{tenant}" in mixed.err
    finally:
        redis_server.client().ft("faq").dropindex(delete_documents=True)


def test_a_server_that_is_down_is_said_at_once(
    costaudit: Callable[..., Said], tmp_path: Path
) -> None:
    said = costaudit("warm", str(tmp_path / "no.jsonl"), "--cache", "redis://127.0.0.1:9")
    assert said.code == 5 and "Can't speak to Redis" in said.err
    assert costaudit("warm", str(tmp_path / "no.jsonl")).code == 2
