"""An interrupted replay continues from its journal, and ends as if nothing had happened."""

import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from costaudit.contracts.policies import TtlKind
from costaudit.errors import BackendError, InputError, UsageError
from costaudit.replay.cache import CacheSettings
from costaudit.replay.caches.memory import MemoryCache
from costaudit.replay.journal import Acknowledged, Header, Journal
from costaudit.replay.replay import ReplayInterruptedError
from costaudit.replay.steps import Listener
from tests.replay.conftest import Log

DECIDED = ["result", "matched_id", "similarity", "input_uncached_tokens"]


def interrupt_after(count: int, sent: signal.Signals = signal.SIGINT) -> Listener:
    """Return a listener that sends ctrl-C or another signal once `count` requests are done."""
    seen: list[Acknowledged] = []

    def listener(done: Acknowledged) -> None:
        seen.append(done)
        if len(seen) == count:
            os.kill(os.getpid(), sent)

    return listener


@pytest.mark.parametrize("ttl_kind", ["fixed", "sliding"])
@pytest.mark.parametrize("ttl_s", [None, 20.0])
@pytest.mark.parametrize("count", [1, 47, 300, 599])
def test_a_resumed_replay_decides_as_a_whole_one(
    log: Log, tmp_path: Path, count: int, ttl_s: float | None, ttl_kind: TtlKind
) -> None:
    options: dict[str, Any] = {"ttl_s": ttl_s, "ttl_kind": ttl_kind}
    whole = log.replay(MemoryCache(), **options)
    path = tmp_path / "journal"
    with pytest.raises(ReplayInterruptedError) as stopped:
        log.replay(
            MemoryCache(), resume_path=path, listener=interrupt_after(count), pipeline=8, **options
        )
    assert str(path) in stopped.value.hint
    assert stopped.value.exit_code == 130
    resumed = log.replay(MemoryCache(), resume_path=path, **options)
    assert resumed.resumed >= count
    assert resumed.outcomes.select(DECIDED).equals(whole.outcomes.select(DECIDED))


def test_sigterm_stops_it_as_ctrl_c_does(log: Log, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    path = tmp_path / "journal"
    with pytest.raises(ReplayInterruptedError):
        stop = interrupt_after(100, signal.SIGTERM)
        log.replay(MemoryCache(), resume_path=path, listener=stop)
    assert signal.getsignal(signal.SIGTERM) == before
    assert log.replay(MemoryCache(), resume_path=path).resumed >= 100


def test_a_paced_replay_can_be_interrupted_and_goes_on(log: Log, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with pytest.raises(ReplayInterruptedError):
        log.replay(MemoryCache(), speed=500, resume_path=path, listener=interrupt_after(200))
    resumed = log.replay(MemoryCache(), speed=500, resume_path=path)
    assert resumed.resumed >= 200
    hits = log.replay(MemoryCache()).outcomes.filter(result="hit").height
    # how many answers arrive in time for the next question depends on the machine's speed
    assert resumed.outcomes.filter(result="hit").height == pytest.approx(hits, rel=0.25)


def test_a_line_that_a_kill_cut_short_is_done_again(log: Log, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    whole = log.replay(MemoryCache(), resume_path=path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:300]) + lines[300][:17])
    resumed = log.replay(MemoryCache(), resume_path=path)
    assert resumed.resumed == 299  # the first line is the header
    assert resumed.outcomes.select(DECIDED).equals(whole.outcomes.select(DECIDED))
    assert len(path.read_bytes().splitlines()) == len(lines)


@pytest.mark.parametrize("change", [{"min_similarity": 0.9}, {"ttl_s": 5.0}, {"speed": 100.0}])
def test_another_replay_may_not_go_on_with_the_journal(
    log: Log, tmp_path: Path, change: dict[str, Any]
) -> None:
    path = tmp_path / "journal"
    log.replay(MemoryCache(), resume_path=path)
    with pytest.raises(UsageError, match="journal of another replay"):
        log.replay(MemoryCache(), resume_path=path, **change)


def test_another_log_may_not_go_on_with_the_journal(log: Log, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    log.replay(MemoryCache(), resume_path=path)
    log.stream.ts_s[-1] += 1
    with pytest.raises(UsageError, match="journal of another replay"):
        log.replay(MemoryCache(), resume_path=path)


def test_a_cache_that_refuses_to_open_leaves_no_journal(log: Log, tmp_path: Path) -> None:
    class Refusing(MemoryCache):
        def open(self, settings: CacheSettings) -> None:
            raise UsageError("no")

    with pytest.raises(UsageError):
        log.replay(Refusing(), resume_path=tmp_path / "journal")
    assert list(tmp_path.iterdir()) == []


def test_restart_forgets_the_journal_of_another_replay(log: Log, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    log.replay(MemoryCache(), resume_path=path)
    again = log.replay(MemoryCache(), resume_path=path, min_similarity=0.9, restart=True)
    assert again.resumed == 0
    assert len(path.read_bytes().splitlines()) == len(log.stream) + 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_names_the_file_and_the_progress(log: Log, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.symlink_to("/dev/full")
    with pytest.raises(BackendError, match="can't be written: No space left") as full:
        log.replay(MemoryCache(), resume_path=path, restart=True)
    assert str(path) in full.value.message and "of 600 requests" in full.value.message


def test_a_file_that_is_no_journal_is_refused_and_left_as_it_is(log: Log, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("buy milk\nbuy bread\n")
    with pytest.raises(InputError, match="not the journal"):
        log.replay(MemoryCache(), resume_path=path)
    assert path.read_text() == "buy milk\nbuy bread\n"


def test_a_journal_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "journal"
    with Journal(path, Header("s", "t", "p")) as journal:
        assert not path.exists()  # a refused start leaves nothing behind
        journal.begin()
        journal.acknowledge(Acknowledged(3, "miss", answer="secret"))
    assert path.stat().st_mode & 0o777 == 0o600
    with Journal(path, Header("s", "t", "other")) as journal:
        assert journal.header.prefix == "p"
        assert journal.done[3].answer == "secret"
    assert msgspec.json.decode(path.read_bytes().splitlines()[1])["index"] == 3
