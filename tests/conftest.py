"""Options and fixtures for tests of all stages."""

import atexit
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

ROOT = Path(__file__).parent.parent
if threading.current_thread() is threading.main_thread():
    # a background job of a shell ignores ctrl-C, and the tested commands would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)


os.environ.pop("COLUMNS", None)  # pytest's workers set it, which would wrap messages
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="costaudit-tests-")  # keys of redacted runs
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)

# no deadline: the time of an example depends on the machine
settings.register_profile("costaudit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(  # for .ci/mutate.py, which needs no smallest counterexample
    "mutation",
    settings.get_profile("costaudit"),
    max_examples=20,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
)
settings.load_profile("costaudit")


@dataclass(frozen=True)
class Said:
    """A command's exit code, stdout and stderr."""

    code: int
    out: str
    err: str


def installed(
    *arguments: str, cwd: Path, stdin: bytes = b"", environment: Mapping[str, str] | None = None
) -> Said:
    """Run the console script in its own process."""
    script = Path(sys.executable).with_name("costaudit")
    env = {**os.environ, **(environment or {})}
    done = subprocess.run([script, *arguments], cwd=cwd, env=env, input=stdin, capture_output=True)
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


@dataclass(frozen=True)
class ChatbotRun:
    """The README's first command, run in an empty folder with the sample logs beside it."""

    cwd: Path
    said: Said

    @property
    def path(self) -> Path:
        """The run directory."""
        return self.cwd / "costaudit-support_chatbot"


@pytest.fixture(scope="session")
def chatbot_run(tmp_path_factory: pytest.TempPathFactory) -> ChatbotRun:
    """Audit the chatbot's log, once for all processes that run tests.

    If the README's first command has been run in this folder, its vectors are taken over: they take
    longer than all the rest.
    """
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    cwd = base / "chatbot"
    told = cwd / "said.json"
    with (base / "chatbot.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            cwd.mkdir(exist_ok=True)
            (cwd / "sample_logs").symlink_to(ROOT / "sample_logs")
            left, run = ROOT / "costaudit-support_chatbot", cwd / "costaudit-support_chatbot"
            if (left / "vectors").is_dir() and not run.exists():
                run.mkdir()
                shutil.copytree(left / "vectors", run / "vectors")
                (run / ".costaudit").touch()
            said = installed("analyze", "sample_logs/support_chatbot.jsonl.zst", cwd=cwd)
            told.write_text(json.dumps(asdict(said)))
    return ChatbotRun(cwd, Said(**json.loads(told.read_text())))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite golden files instead of comparing"
    )


@pytest.fixture
def matches_golden(request: pytest.FixtureRequest) -> Callable[[str, bytes], None]:
    """A function that compares bytes with a file in the `golden` folder beside the test."""

    def compare(name: str, found: bytes) -> None:
        path = Path(request.path).parent / "golden" / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(found)
        assert found == path.read_bytes(), f"{path.name} differs; see --update-golden"

    return compare


@pytest.fixture
def readme_block(request: pytest.FixtureRequest) -> Callable[..., None]:
    """A function that compares a command's output with the block of README.md under a marker."""

    def compare(mark: str, found: str, rounded: Callable[[str], str] = str) -> None:
        path = ROOT / "README.md"
        text = path.read_text("utf-8")
        start = f"<!-- {mark} -->\n```text\n"
        head, marked, rest = text.partition(start)
        assert marked, f"README.md has no block {mark}"
        block, fence, tail = rest.partition("```\n<!-- end -->")
        assert fence, f"the block {mark} of README.md has no end"
        if request.config.getoption("--update-golden"):
            path.write_text(f"{head}{start}{found}{fence}{tail}", "utf-8")
            block = found
        assert rounded(block) == rounded(found), f"{mark} is out of date; see --update-golden"

    return compare
