"""Every engine makes the same bytes from any number of partitions, even if workers are killed."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from costaudit.cli.analyze import Asked
from costaudit.contracts.audit import encode_audit
from costaudit.contracts.run_dir import RunDir
from costaudit.embed.embedders import embedder_named, embedder_on
from costaudit.embed.minilm import packaged_model
from costaudit.engine.engine import Engine, check_engine, engine_named
from costaudit.errors import BackendError, InputError, UsageError
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions
from costaudit.pipeline.analyze import analyze, analyze_and_write
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import SilentProgress
from costaudit.simulate.semantic.division import Division, Search
from costaudit.simulate.semantic.sweep import sweep
from tests.conftest import installed
from tests.engine.partitions import Bytes, Fatal, dies, refused
from tests.engine.ray_workers import a_worker_is_killed
from tests.ingest.conftest import chat, write_lines
from tests.ingest.killing import Killing
from tests.simulate.semantic.divided import DIVIDED, FatalGuard, equal, many_scopes
from tests.simulate.semantic.streams import odd_sum

ENGINES = ("local", "pool", "ray")
TABLES = ("requests", "blocks", "skips", "merged")


@pytest.fixture(scope="module")
def on_ray() -> Iterator[Engine]:
    """A real Ray on this machine, with two workers."""
    with suppress(BackendError):  # Ray waits 30 s for its processes, too little under load
        engine_named("ray", 2)
    yield engine_named("ray", 2)
    import ray  # not before: it reads its environment then

    ray.shutdown()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of 150 calls, some of them repeated, and a line that is no call."""
    records = [
        chat(n, f"Where is parcel {n % 40}?", answer=f"In {n % 9} days.") for n in range(150)
    ]
    write_lines(tmp_path / "log.jsonl", [*records, {"not": "a call"}, *records[:10]])
    return tmp_path / "log.jsonl"


def options(engine: str, log: Path, partitions: int) -> IngestOptions:
    size = -(-log.stat().st_size // partitions)
    return IngestOptions(engine=engine, workers=2, task_bytes=size)


def read(log: Path, run: Path, engine: str, partitions: int) -> tuple[dict[str, bytes], int]:
    """Ingest a log; return the tables' bytes, and the bytes of the log that were counted."""
    seen = Bytes()
    ingest([str(log)], RunDir(run), options(engine, log, partitions), seen)
    assert len(list(run.glob("staging/*/span-*.json"))) == partitions
    return {name: (run / f"{name}.parquet").read_bytes() for name in TABLES}, seen.read


def test_ray_keeps_the_order_replaces_killed_workers_and_reads_the_same(
    on_ray: Engine, log: Path, tmp_path: Path
) -> None:
    """One test, because other ones would start Ray in processes of their own."""
    tasks = [Fatal(n, told=tmp_path / "died") for n in range(8)]
    assert list(on_ray.map(dies, tasks)) == list(range(8))
    assert (tmp_path / "died").exists()
    with pytest.raises(InputError, match=r"^partition 2 is bad$") as caught:
        list(on_ray.map(refused, range(4)))
    assert caught.value.hint == "Mend it."
    expected = read(log, tmp_path / "local", "local", 1)
    assert expected[1] == log.stat().st_size
    assert read(log, tmp_path / "ray", "ray", 7) == expected


@pytest.mark.parametrize("partitions", [2, 7])
@pytest.mark.parametrize("engine", ["local", "pool"])
def test_processes_read_the_same_from_any_number_of_partitions(
    log: Path, tmp_path: Path, engine: str, partitions: int
) -> None:
    expected, _ = read(log, tmp_path / "whole", "local", 1)
    assert read(log, tmp_path / "cut", engine, partitions)[0] == expected


@pytest.mark.slow
@pytest.mark.usefixtures("on_ray")
def test_every_engine_writes_the_same_audit(log: Path, tmp_path: Path) -> None:
    made = {}
    for engine in ENGINES:
        for partitions in (1, 2, 7):
            run = RunDir(tmp_path / "run")
            asked = AnalyzeOptions(ingest=options(engine, log, partitions))
            analyze_and_write([str(log)], run, asked, SilentProgress())
            made[engine, partitions] = [run.audit_path.read_bytes(), run.report_path.read_bytes()]
            made[engine, partitions] += [
                path.read_bytes()
                for path in sorted(run.path.rglob("*.parquet"))
                if "staging" not in path.parts
            ]
            shutil.rmtree(run.path)
    first = made["local", 1]
    assert len(first) > 6
    assert [key for key, value in made.items() if value != first] == []


@pytest.mark.slow
@pytest.mark.usefixtures("on_ray")
def test_ray_decides_scopes_as_this_process_even_if_a_worker_is_killed(tmp_path: Path) -> None:
    stream, vectors, policies, guard = many_scopes()
    there = Division("ray", 2)
    for asked in (None, guard):
        expected = sweep(stream, vectors, policies, asked)
        for parts in (1, 2, 7):
            search = Search(sizes=DIVIDED[parts])
            assert equal(sweep(stream, vectors, policies, asked, search, there), expected)
    fatal = FatalGuard(tmp_path / "died", spared=os.getpid())
    found = sweep(stream, vectors, policies, fatal, Search(sizes=DIVIDED[7]), there)
    assert fatal.told.exists()
    assert equal(found, sweep(stream, vectors, policies, odd_sum))


@pytest.mark.slow
@pytest.mark.usefixtures("on_ray")
def test_every_engine_writes_the_same_audit_of_scopes(tmp_path: Path) -> None:
    records = [
        chat(n, f"Where is parcel {n % 40}?", answer=f"In {n % 9} days.", tenant=f"t{n % 3}")
        for n in range(150)
    ]
    log = write_lines(tmp_path / "log.jsonl", records)
    asked = Asked(scope="tenant").options()
    audits = []
    for engine in ENGINES:
        run = RunDir(tmp_path / engine)
        reading = options(engine, log, 1)
        each = replace(asked, ingest=reading, sizes=DIVIDED[7])
        audits.append(analyze([str(log)], run, each))
    assert audits[0].semantic is not None and audits[0].semantic.points
    assert encode_audit(audits[0]) == encode_audit(audits[1]) == encode_audit(audits[2])


@pytest.mark.slow
@pytest.mark.usefixtures("on_ray")
def test_vectors_are_the_same_to_the_last_bit_and_missing_models_are_named(tmp_path: Path) -> None:
    texts = [f"Where is parcel {n}?" for n in range(40)]
    there, here = embedder_on("minilm", "ray"), embedder_named("minilm")
    assert (there.encode(texts) == here.encode(texts)).all()
    assert there.spec.revision == here.spec.revision
    model = tmp_path / "model"
    shutil.copytree(packaged_model(), model)
    moved = embedder_on(str(model), "ray")
    _ = moved.spec
    model.rename(tmp_path / "moved")
    with pytest.raises(BackendError, match=f"A worker has no model {model}"):
        moved.encode(texts)


@pytest.mark.slow
@pytest.mark.usefixtures("on_ray")
def test_workers_that_are_killed_while_they_read_assemble_or_embed_are_replaced(
    tmp_path: Path,
) -> None:
    """Ray's workers read and embed; a pool assembles, also with Ray."""
    records = [chat(n, f"Where is parcel {n % 400}?", answer=f"{n % 9} days") for n in range(6_000)]
    log = write_lines(tmp_path / "log.jsonl", records)
    made = {}
    for engine in ("local", "ray"):
        asked = replace(options(engine, log, 9), group_rows=200)
        progress, run = Killing(this=False), tmp_path / engine
        with a_worker_is_killed() as killed:
            ingest([str(log)], RunDir(run), asked, progress)
        assert bool(killed) == (progress.killed > 1) == (engine == "ray")
        made[engine] = {path.name: path.read_bytes() for path in run.glob("*.parquet")}
    assert made["ray"] == made["local"] and len(made["ray"]) > 2
    texts = [f"Where is parcel {n}?" for n in range(40)]
    with a_worker_is_killed() as killed:
        vectors = embedder_on("minilm", "ray").encode(texts)
    assert killed and (vectors == embedder_named("minilm").encode(texts)).all()


def test_a_killed_worker_of_a_pool_is_replaced(tmp_path: Path) -> None:
    tasks = [Fatal(n, told=tmp_path / "died", spared=os.getpid()) for n in range(12)]
    assert list(engine_named("pool", 3).map(dies, tasks)) == list(range(12))
    assert (tmp_path / "died").exists()


@pytest.mark.slow
def test_a_pool_gives_up_where_a_partition_kills_every_worker() -> None:
    with pytest.raises(BackendError, match="were killed 4 times"):
        list(engine_named("pool", 2).map(dies, [Fatal(n, spared=os.getpid()) for n in range(12)]))


STRANGER = """
import sys
import ray
ray.init(sys.argv[1], log_to_driver=False)
print("in")
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["token", "disabled"])
@pytest.mark.usefixtures("on_ray")
def test_nobody_else_can_use_ray_s_ports(mode: str, tmp_path: Path) -> None:
    import ray

    address = ray.get_runtime_context().gcs_address
    own = {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"}
    environment = {name: value for name, value in os.environ.items() if name not in own}
    environment |= {
        "HOME": str(tmp_path),
        "RAY_AUTH_MODE": mode,
        "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
    }
    if mode == "token":
        environment["RAY_AUTH_TOKEN"] = "0" * 64
    command = [sys.executable, "-c", STRANGER, address]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert "nauthenticated" in done.stderr or "uthentication" in done.stderr


DRIVER = """
import sys
from pathlib import Path
from costaudit.contracts.run_dir import RunDir
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions
from costaudit.progress import SilentProgress
asked = IngestOptions(engine="ray", workers=2, task_bytes=500)
ingest([sys.argv[1]], RunDir(Path(sys.argv[2])), asked, SilentProgress())
"""


@pytest.mark.slow
def test_what_a_killed_driver_had_read_is_not_read_again(log: Path, tmp_path: Path) -> None:
    """It is killed as soon as the first partition is committed; another engine continues."""
    run = tmp_path / "run"
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(log), str(run)])
    while not list(run.glob("staging/*/span-*.json")):
        assert driver.poll() is None
        time.sleep(0.005)
    driver.kill()
    driver.wait()
    seen = Bytes()
    ingest([str(log)], RunDir(run), IngestOptions(task_bytes=500), seen)
    assert 0 < seen.read < log.stat().st_size
    expected, _ = read(log, tmp_path / "whole", "local", 1)
    assert {name: (run / f"{name}.parquet").read_bytes() for name in TABLES} == expected


def test_an_unknown_engine_is_refused() -> None:
    for name in ("ray:", "spark", "ray://", "Pool", ""):
        with pytest.raises(UsageError, match="no engine"):
            check_engine(name)
    for verb in ("ingest", "spend"):
        said = installed(verb, "x.jsonl", "--engine", "spark", cwd=Path.cwd())
        assert (said.code, "ray://HOST:10001" in said.err) == (2, True)


def test_a_cluster_that_does_not_answer_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(BackendError, match=f"No Ray cluster answers at ray://127.0.0.1:{port}"):
        engine_named(f"ray://127.0.0.1:{port}", 2)


WITHOUT_RAY = """
import sys
import time
sys.modules["ray"] = None  # as if it were not installed
from costaudit.cli.main import main
sys.exit(main(["ingest", sys.argv[1], "--out", sys.argv[2], "--engine", "ray"]))
"""


def test_without_ray_the_extra_is_named(log: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_RAY, str(log), str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "--engine ray needs Ray, which is not installed." in done.stderr
    assert "pip install 'costaudit[scale]'" in done.stderr


TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 2}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """The address of a Ray cluster of one node on this machine, started as its users start it."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        head, port, agent = (one.getsockname()[1] for one in sockets)
    command = [
        sys.executable, "-m", "ray.scripts.scripts", "start", "--head", f"--port={head}",
        f"--ray-client-server-port={port}", f"--runtime-env-agent-port={agent}", "--num-cpus=2",
        "--include-dashboard=false", "--object-store-memory=200000000", "--block",
    ]  # fmt: skip
    environment = {**os.environ, **TOKEN, "RAY_USAGE_STATS_ENABLED": "0"}
    with subprocess.Popen(command, env=environment, start_new_session=True) as node:
        for _ in range(600):
            time.sleep(0.1)
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
        yield f"ray://127.0.0.1:{port}"
        os.killpg(node.pid, signal.SIGTERM)


ON_CLUSTER = """
import sys
from costaudit.cli.main import main
from costaudit.engine.engine import engine_named
from tests.engine.partitions import refused
print(main(["ingest", sys.argv[1], "--out", sys.argv[2], "--engine", sys.argv[3]]))
try:
    list(engine_named(sys.argv[3], 1).map(refused, range(4)))
except Exception as error:
    print(type(error).__name__, error.message)
"""


@pytest.mark.slow
def test_a_cluster_reads_the_same_and_names_the_node_of_a_failure(
    cluster: str, log: Path, tmp_path: Path
) -> None:
    local, _ = read(log, tmp_path / "local", "local", 1)
    run = tmp_path / "run"
    command = [sys.executable, "-c", ON_CLUSTER, str(log), str(run), cluster]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **TOKEN})
    assert done.returncode == 0, done.stderr
    node = socket.gethostname()
    assert done.stdout.splitlines()[1:] == [
        "0",
        f"InputError On the node {node}: partition 2 is bad",
    ]
    assert {name: (run / f"{name}.parquet").read_bytes() for name in local} == local


LOST_NODE = """
import sys
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from costaudit.engine.engine import engine_named
from tests.engine.partitions import slow

def nodes(folder):
    return {path.name.partition("-")[2] for path in Path(folder).iterdir()}

owned = sys.argv[2] == "accelerators"
cluster = Cluster(head_node_args={"num_cpus": 0})
here = [
    cluster.add_node(num_cpus=1, num_gpus=int(owned), env_vars={"NODE": name})
    for name in ("a", "b")
]
ray.init(cluster.address, log_to_driver=False)
engine = engine_named("ray", 2)
assert (engine.workers, engine.accelerators) == (2, 2 * owned)
while len(nodes(sys.argv[3])) < 2:  # the node that starts first gets more to do
    list(engine.map(slow, [(n, sys.argv[3]) for n in range(4)], needs_accelerator=owned))
done = []
tasks = [(n, sys.argv[1]) for n in range(16)]
for number in engine.map(slow, tasks, needs_accelerator=owned):
    done.append(number)
    if len(done) == 8:
        assert nodes(sys.argv[1]) == {"a", "b"}
        cluster.remove_node(here[1], allow_graceful=False)
assert done == list(range(16))
print(f"mapped {len(list(Path(sys.argv[1]).iterdir()))} times")
ray.shutdown()
cluster.shutdown()
"""


@pytest.mark.slow
@pytest.mark.parametrize("on", ["processors", "accelerators"])
def test_partitions_of_a_lost_node_are_mapped_by_another_one(tmp_path: Path, on: str) -> None:
    """Two nodes of a real Ray cluster, as processes of this machine; one is killed."""
    folders = [tmp_path / "told", tmp_path / "first"]
    for folder in folders:
        folder.mkdir()
    command = [sys.executable, "-c", LOST_NODE, str(folders[0]), on, str(folders[1])]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    times = re.search(r"mapped (\d+) times", done.stdout)
    assert times and int(times[1]) > 16  # what the lost node had begun was begun again
