"""A log is assembled to the same bytes by any engine, in any parts, whoever is killed meanwhile."""

import random
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from costaudit.contracts.requests import in_order
from costaudit.contracts.run_dir import RunDir
from costaudit.ingest.assembly import log as assembly_log
from costaudit.ingest.assembly.keys import Keys
from costaudit.ingest.assembly.linked import Mask
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions
from costaudit.progress import SilentProgress
from tests.ingest.conftest import chat, write_lines
from tests.ingest.formats import FORMATS
from tests.ingest.killing import Killing

SAMPLES = ("openai_batch", "anthropic_batch", "claude_code", "otel", "litellm", "langfuse",
           "openai_chat", "openai_responses")  # fmt: skip
TABLES = ("requests", "blocks", "skips", "merged")


def assembled(run: RunDir) -> tuple[list[bytes], Any]:
    """Return the bytes of a run's tables, and its manifest without when and in what parts."""
    manifest = msgspec.to_builtins(run.manifest())
    del manifest["ingest"]["made"], manifest["ingest"]["options"]
    for one in manifest["inputs"]:
        del one["ranges"]
    paths = [run.path / f"{name}.parquet" for name in TABLES]
    return [path.read_bytes() if path.exists() else b"" for path in paths], manifest


def read(logs: Path, run: Path, **options: Any) -> tuple[list[bytes], Any]:
    """Ingest logs into a new run; return what was assembled."""
    asked = IngestOptions(**{"engine": "local", "workers": 2, **options})
    ingest([str(logs)], RunDir(run), asked, SilentProgress())
    assert not (run / "staging" / ".assembly").exists()
    return assembled(RunDir(run))


def span(own: str, parent: str, tokens: int = 0) -> dict[str, Any]:
    """Return a span; with tokens, it is a call or contains calls."""
    told: dict[str, Any] = {"gen_ai.provider.name": "openai"}
    if tokens:
        told |= {"gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": tokens,
                 "gen_ai.usage.output_tokens": 10, "gen_ai.operation.name": "chat"}  # fmt: skip
    start = 1_793_610_000_000_000_000 + ord(own)
    return {
        "traceId": "t1", "spanId": own, "parentSpanId": parent, "name": own,
        "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + 10**9), "attributes": told,
    }  # fmt: skip


def mixed_logs(folder: Path, seed: int) -> Path:
    """Write logs with calls that are the same in all known ways, over several files.

    Lines of some formats' samples are drawn for two files, so requests and results of batches are
    apart, and calls are repeated. So is a session's history, and spans contain those of another
    file. Calls of one more log fail and are retried, have no id, or are in another file as well.
    """
    chance = random.Random(seed)
    folder.mkdir()
    for name in SAMPLES:
        lines = (FORMATS / f"{name}.jsonl").read_text("utf-8").splitlines()
        for part in "ab":
            drawn = [line for line in lines if chance.random() < 0.7]
            write_lines(folder / f"{name}-{part}.jsonl", [*drawn, *drawn[:2]])
    history = (FORMATS / "codex.jsonl").read_text("utf-8")
    fork = re.sub(r"(T\d\d):", lambda hour: f"{hour[1][0]}{int(hour[1][1:]) + 5:02d}:", history)
    (folder / "history.jsonl").write_text(history, "utf-8")
    (folder / "fork.jsonl").write_text(fork.replace('"id":"', '"id":"f'), "utf-8")
    write_lines(folder / "outer.jsonl", [span("a", "", 3_000), span("b", "a")])
    write_lines(folder / "inner.jsonl", [span("c", "b", 1_000), span("d", "b", 2_000)])
    calls = []
    for number in range(1_200):
        record = chat(
            chance.randrange(1_600),
            f"Where is parcel {chance.randrange(90)}?",
            tokens=(chance.randrange(20, 23), chance.choice([0, 0, 40]), chance.randrange(5, 8)),
            user=f"u{chance.randrange(4)}",
        )
        if chance.random() < 0.5:
            record["response"]["id"] = f"chatcmpl-{number}"
        if chance.random() < 0.2:
            del record["response"]
            record |= {"status_code": 429, "error": {"type": "rate_limit_error"}}
        calls.append(record)
    answered = [call for call in calls if "response" in call][:20]
    renamed = [{**call, "response": {**call["response"], "id": f"again-{n}"}}
               for n, call in enumerate(answered)]  # fmt: skip
    write_lines(folder / "b-calls.jsonl", calls[:600])  # pieces of 500 rows are not joined
    write_lines(folder / "m-calls.jsonl", calls[600:])
    write_lines(folder / "olla-calls.jsonl", [*chance.sample(calls, 550), *renamed])
    return folder


@pytest.mark.parametrize("dedupe", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_rows_that_share_no_key_change_nothing(
    seed: int, dedupe: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules have the same result for the linked rows alone as for all rows."""
    logs = mixed_logs(tmp_path / "logs", seed)
    options = {"group_rows": 64, "dedupe": dedupe}
    found = read(logs, tmp_path / "linked", **options)
    asked: list[int] = []

    def all_rows(keys: Keys, _: object) -> Mask:
        asked.append(len(keys))
        return np.ones(len(keys), bool)

    monkeypatch.setattr(assembly_log, "linked_rows", all_rows)
    assert read(logs, tmp_path / "all", **options) == found
    assert asked[0] > 1_700
    reasons = set(RunDir(tmp_path / "all").skips()["reason"])
    wanted = {"joined"}
    wanted |= {"duplicate-id", "same-start", "parent-span", "replayed"} if dedupe else set()
    assert reasons >= wanted
    assert RunDir(tmp_path / "all").requests()["attempt"].max()  # some are retries


@pytest.fixture
def long_log(tmp_path: Path) -> Path:
    """A log whose assembly takes several tasks in workers, with repeated calls."""
    records = [chat(n, f"Where is parcel {n % 900}?", answer=f"{n % 77}") for n in range(17_000)]
    return write_lines(tmp_path / "log.jsonl", [*records, *records[:2_000]])


@pytest.mark.parametrize("engine", ["local", "pool"])
def test_the_same_bytes_from_any_number_of_partitions(
    engine: str, long_log: Path, tmp_path: Path
) -> None:
    for logs in (mixed_logs(tmp_path / "logs", 7), long_log):
        whole = read(logs, tmp_path / f"{logs.stem}-whole")
        files = [*logs.iterdir()] if logs.is_dir() else [logs]
        largest = max(path.stat().st_size for path in files)
        for number in (2, 7):
            run, size = tmp_path / f"{logs.stem}-{number}", -(-largest // number)
            assert read(logs, run, engine=engine, task_bytes=size) == whole


@pytest.mark.parametrize("most", [8_192, 50])
def test_no_row_group_holds_two_months_from_any_number_of_partitions(
    most: int, tmp_path: Path
) -> None:
    """The calls of two logs are in no order, some a second before a new year, or untimed."""
    chance = random.Random(most)
    logs = tmp_path / "logs"
    logs.mkdir()
    for part in range(2):
        calls = [chat(n, f"Where is {n}?") for n in range(700 * part, 700 * part + 700)]
        for call in calls:
            minute = chance.choice(("2025-12-31T23:59", "2026-01-01T00:00", "2026-03-05T12:00", ""))
            second = chance.choice((0, 59))
            call["timestamp"] = f"{minute}:{second:02d}.{chance.randrange(10**6):06d}Z"
            if not minute:
                del call["timestamp"]
        write_lines(logs / f"{part}.jsonl", calls)
    whole = read(logs, tmp_path / "whole", group_rows=most)
    size = max(path.stat().st_size for path in logs.iterdir()) // 3
    assert read(logs, tmp_path / "pool", engine="pool", task_bytes=size, group_rows=most) == whole
    run = RunDir(tmp_path / "whole")
    table = run.requests()
    assert in_order(table) is table
    month = table["ts"].dt.strftime("%Y-%m")
    counts = month.value_counts()["count"].to_list()
    assert len(counts) == 4 and None in month and min(counts) > 250
    file = pq.ParquetFile(run.requests_path)
    sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    first = 0
    for size in sizes:
        assert len(set(month[first : first + size])) == 1 and size <= most
        first += size
    # a month's row groups begin anew, whatever is in the others
    assert len(sizes) == sum(-(-count // most) for count in counts)


@pytest.mark.parametrize("stage", ["ingest", "assemble"])
def test_a_worker_that_is_killed_while_it_reads_or_assembles_is_replaced(
    stage: str, long_log: Path, tmp_path: Path
) -> None:
    whole = read(long_log, tmp_path / "whole", group_rows=500)
    progress, run = Killing(this=False, stage=stage), RunDir(tmp_path / "killed")
    options = IngestOptions(engine="pool", workers=2, task_bytes=1 << 20, group_rows=500)
    ingest([str(long_log)], run, options, progress)
    assert progress.killed > 1
    assert assembled(run) == whole


KILLED = """
import sys
from pathlib import Path
from costaudit.contracts.run_dir import RunDir
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions
from tests.ingest.killing import Killing

if __name__ == "__main__":
    options = IngestOptions(engine=sys.argv[3], workers=2, task_bytes=1 << 20)
    ingest([sys.argv[1]], RunDir(Path(sys.argv[2])), options, Killing(this=True))
"""


@pytest.mark.parametrize("engine", ["local", "pool"])
def test_a_command_that_is_killed_while_it_assembles_goes_on_from_what_it_read(
    engine: str, long_log: Path, tmp_path: Path
) -> None:
    whole, run = read(long_log, tmp_path / "whole"), RunDir(tmp_path / "killed")
    command = [sys.executable, "-c", KILLED, str(long_log), str(run.path), engine]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert list((run.path / "staging" / ".assembly").iterdir())
    assert not run.requests_path.exists()
    options = IngestOptions(engine=engine, workers=2, task_bytes=1 << 20)
    summary = ingest([str(long_log)], run, options, SilentProgress())
    assert summary.read_bytes == 0
    assert assembled(run) == whole
    left = [path.name for path in run.path.rglob("*.part")]
    assert left == [] and not (run.path / "staging" / ".assembly").exists()


MEASURED = """
import sys
from pathlib import Path
from costaudit.contracts.run_dir import RunDir
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions
from costaudit.progress import SilentProgress

options = IngestOptions(engine="local")
summary = ingest([sys.argv[1]], RunDir(Path(sys.argv[2])), options, SilentProgress())
told = Path("/proc/self/status").read_text()  # the peak of a resource begins with the parent's
print(summary.read_bytes, told.split("VmHWM:")[1].split()[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc has the peak of the memory")
def test_a_further_call_takes_little_memory(tmp_path: Path) -> None:
    """It took 1,130 bytes when all calls were decided in one process."""
    peaks: dict[int, int] = {}
    for calls in (70_000, 210_000):
        records = [chat(n, f"Where is parcel {n}?", answer="Here.") for n in range(calls)]
        log, run = write_lines(tmp_path / f"{calls}.jsonl", records), tmp_path / f"run{calls}"
        command = [sys.executable, "-c", MEASURED, str(log), str(run)]
        subprocess.run(command, check=True, capture_output=True)
        (run / "requests.parquet").unlink()  # so it is assembled again, but not read
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        read_bytes, peaks[calls] = map(int, told.split())
        assert read_bytes == 0
    assert (peaks[210_000] - peaks[70_000]) * 1_024 / 140_000 < 700
