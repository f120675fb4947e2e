"""Failures of a real Redis end with a clear message, exit code 5 and a run that can be resumed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from costaudit.errors import BackendError
from costaudit.replay.backends import cache_at
from costaudit.replay.caches.memory import MemoryCache
from costaudit.replay.journal import Acknowledged
from costaudit.replay.replay import ReplayInterruptedError
from costaudit.replay.steps import Listener
from tests.replay.conftest import Log, RedisServer, make_log, running, search_module

DECIDED = ["result", "matched_id"]
FLAVOURS = ["flavour=redisvl", "flavour=vectorset&exact=1"]


def after(count: int, act: Callable[[], object]) -> Listener:
    """Return a listener that acts once `count` requests are done."""
    seen: list[Acknowledged] = []

    def listener(done: Acknowledged) -> None:
        seen.append(done)
        if len(seen) == count:
            act()

    return listener


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_down_at_the_start(log: Log, flavour: str) -> None:
    with pytest.raises(BackendError, match="Can't speak to Redis at redis://") as failed:
        log.replay(cache_at(f"redis://127.0.0.1:9?{flavour}"))
    assert failed.value.exit_code == 5
    assert "docker run" in failed.value.hint


@pytest.mark.parametrize("speed", [None, 50.0])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_killed_in_the_middle_and_resumed(
    tmp_path: Path, log: Log, flavour: str, speed: float | None
) -> None:
    path = tmp_path / "journal"
    with running(tmp_path, *search_module()) as server:
        cache = cache_at(server.url(flavour))
        with pytest.raises(BackendError, match="Can't speak to Redis") as failed:
            log.replay(
                cache, resume_path=path, speed=speed, pipeline=8, listener=after(250, server.kill)
            )
        assert "of 600 requests are done" in failed.value.message
        assert str(path) in failed.value.hint
        server.start()
        result = log.replay(cache_at(server.url(flavour)), resume_path=path, speed=speed)
        assert result.resumed >= 250
        assert server.key_names() == []
    predicted = log.replay(MemoryCache()).outcomes
    if speed is None:
        assert result.outcomes["result"].equals(predicted["result"])
    hits = predicted.filter(result="hit").height
    assert result.outcomes.filter(result="hit").height == pytest.approx(hits, rel=0.05)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_out_of_memory_without_eviction(tmp_path: Path, flavour: str) -> None:
    log = make_log(2000, texts=2000, latency_s=0.01)
    assert isinstance(log.stream.answers, list)
    log.stream.answers[:] = ["long answer " * 900] * 2000
    path = tmp_path / "journal"
    with running(
        tmp_path, *search_module(), "--maxmemory", "6mb", "--maxmemory-policy", "noeviction"
    ) as server:
        with pytest.raises(BackendError, match="out of memory") as failed:
            log.replay(cache_at(server.url(flavour)), resume_path=path, min_similarity=0.99)
        assert "maxmemory" in failed.value.hint
        server.client().config_set("maxmemory", "200mb")
        result = log.replay(cache_at(server.url(flavour)), resume_path=path, min_similarity=0.99)
        assert result.resumed > 0
        assert server.key_names() == []


def test_wrong_password_and_none(tmp_path: Path, log: Log) -> None:
    with running(tmp_path, "--requirepass", "hunter2") as server:
        for credentials in ("", ":wrong-secret@", "nobody:wrong-secret@"):
            address = server.url("flavour=vectorset", credentials)
            with pytest.raises(BackendError, match="refused the user name or the password") as no:
                log.replay(cache_at(address))
            assert "wrong-secret" not in no.value.message + no.value.hint
        right = cache_at(server.url("flavour=vectorset&exact=1", ":hunter2@"))
        result = log.replay(right)
        assert "hunter2" not in result.cache
        assert result.outcomes.filter(result="hit").height > 100
        assert server.key_names(password="hunter2") == []


def test_a_user_without_the_commands(tmp_path: Path, log: Log) -> None:
    with running(tmp_path) as server:
        server.client().acl_setuser(
            "reader", enabled=True, passwords=["+pw"], keys=["*"], commands=["+get", "+scan"]
        )
        with pytest.raises(BackendError, match="does not allow this user"):
            log.replay(cache_at(server.url("flavour=vectorset", "reader:pw@")))


def test_a_missing_module_names_the_command_that_brings_it(tmp_path: Path, log: Log) -> None:
    with running(tmp_path) as server:
        with pytest.raises(BackendError, match="lacks a command") as failed:
            log.replay(cache_at(server.url()))
        assert "--loadmodule redisearch.so" in failed.value.hint
        assert server.key_names() == []


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_server_that_pauses_makes_rows_of_its_timeouts(tmp_path: Path, flavour: str) -> None:
    log = make_log(300)
    log.stream.ready_s[:] = log.stream.ts_s[-1] + 1  # lookups only: nothing is stored until the end
    with running(tmp_path, *search_module()) as server:
        cache = cache_at(server.url(f"{flavour}&timeout_s=0.1"))
        pausing = after(100, lambda: server.client().client_pause(350))
        result = log.replay(cache, pipeline=1, listener=pausing)
        assert 1 <= result.errors["timeout"] <= 5
        assert result.outcomes.height == 300


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_server_that_stays_silent_stops_the_run(tmp_path: Path, log: Log, flavour: str) -> None:
    path = tmp_path / "journal"
    with running(tmp_path, *search_module()) as server:
        cache = cache_at(server.url(f"{flavour}&timeout_s=0.05"))
        pausing = after(200, lambda: server.client().client_pause(60_000))
        with pytest.raises(BackendError, match=r"did not answer in time|in a row failed") as failed:
            log.replay(cache, pipeline=1, listener=pausing, resume_path=path)
        assert failed.value.exit_code == 5
        assert str(path) in failed.value.hint


def test_ctrl_c_removes_the_keys_and_the_run_goes_on(
    redis_server: RedisServer, log: Log, tmp_path: Path
) -> None:
    path = tmp_path / "journal"
    press = after(300, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(ReplayInterruptedError, match="of 600 requests"):
        log.replay(cache_at(redis_server.url()), resume_path=path, listener=press)
    assert redis_server.key_names() == []
    result = log.replay(cache_at(redis_server.url()), resume_path=path)
    assert result.outcomes.select(DECIDED).equals(
        log.replay(cache_at(redis_server.url())).outcomes.select(DECIDED)
    )


CHILD = """
import sys, time
from pathlib import Path
from costaudit.replay.backends import cache_at
from tests.replay.conftest import make_log

slowly = lambda done: time.sleep(0.002)
make_log().replay(cache_at(sys.argv[1]), resume_path=Path(sys.argv[2]), listener=slowly)
"""


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_process_that_is_killed_leaves_a_journal_and_the_next_cleans_up(
    redis_server: RedisServer, log: Log, tmp_path: Path, flavour: str
) -> None:
    path = tmp_path / "journal"
    url = redis_server.url(flavour)
    child = subprocess.Popen([sys.executable, "-c", CHILD, url, str(path)])
    try:
        while not path.exists() or len(path.read_bytes().splitlines()) < 200:
            assert child.poll() is None
            time.sleep(0.01)
    finally:
        child.kill()
        child.wait()
    assert redis_server.key_names() != []  # nobody cleaned up
    result = log.replay(cache_at(url), resume_path=path)
    assert 199 <= result.resumed < 600
    assert redis_server.key_names() == []
    predicted = log.replay(MemoryCache()).outcomes
    assert result.outcomes["result"].equals(predicted["result"])


def test_no_address_with_credentials_is_ever_printed(tmp_path: Path) -> None:
    cache = cache_at("rediss://me:s3cret@cache.example:6380/2?flavour=vectorset")
    assert cache.traits.name == "rediss://cache.example:6380/2?flavour=vectorset"
