"""What a user names or downloads can't run code, and what costaudit installs reports to nobody."""

import ast
import json
import os
import pickle
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from costaudit.answers.judge.judge import JudgeItem, prompt_for
from costaudit.answers.judge.local import PairModel
from costaudit.embed.sentence import SentenceModel
from costaudit.errors import BackendError
from tests.conftest import ROOT

UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
UNSAFE_CALLS = {
    "eval", "exec", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "torch.load",
    "numpy.load", "np.load", "faiss.read_index", "pandas.read_pickle", "os.system", "os.popen",
}  # fmt: skip
UNSAFE_ARGUMENTS = {"allow_pickle", "trust_remote_code", "shell"}


def unsafe_in(source: str) -> Iterator[str]:
    """Yield what a module imports or calls that can run code from data."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            named = [one.name for one in node.names]
            named += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            yield from UNSAFE_MODULES.intersection(name.partition(".")[0] for name in named)
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in UNSAFE_CALLS:
                yield called
            for one in node.keywords:
                is_on = not (isinstance(one.value, ast.Constant) and one.value.value is False)
                if one.arg in UNSAFE_ARGUMENTS and is_on:
                    yield one.arg


def test_the_code_loads_no_data_that_can_run() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "costaudit").rglob("*.py")
        for name in unsafe_in(path.read_text("utf-8"))
    }
    assert not found


@pytest.mark.parametrize(
    "line", ["import pickle", "from joblib import load", "np.load(p)", "f(trust_remote_code=True)"]
)
def test_the_check_finds_such_code(line: str) -> None:
    assert list(unsafe_in(line))


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.system, (f"touch {self.path}",)


@pytest.fixture
def fired(tmp_path: Path) -> Iterator[Path]:
    """A file that appears if the pickled weights of `tmp_path / "model"` are loaded."""
    told = tmp_path / "fired"
    pickled = pickle.dumps(Bomb(told))
    pickle.loads(pickled)
    assert told.exists()  # so the bomb works
    told.unlink()
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "bert", "hidden_size": 32}')
    (model / "pytorch_model.bin").write_bytes(pickled)
    yield told
    assert not told.exists()


@pytest.mark.usefixtures("fired")
def test_pickled_weights_of_an_embedder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"no model\.safetensors, and other formats can"):
        _ = SentenceModel("mine", str(tmp_path / "model")).revision


@pytest.mark.usefixtures("fired")
def test_pickled_weights_of_a_judge_are_refused(tmp_path: Path) -> None:
    judge = PairModel(str(tmp_path / "model"))
    with pytest.raises(BackendError):
        judge.ask("", prompt_for(JudgeItem("is it open", "yes", "is it open", "no")))


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
NAMES = [re.split(r"[<>=]", one)[0] for one in PROJECT["dependencies"]]


def test_dependencies_have_lower_bounds() -> None:
    """`.ci/oldest` installs just these versions, and runs the quick tests with them."""
    assert all(re.fullmatch(r"[a-z0-9-]+>=[0-9.]+", one) for one in PROJECT["dependencies"])


@pytest.mark.slow
def test_the_list_for_a_release_holds_every_dependency(tmp_path: Path) -> None:
    """CycloneDX, with the version of each package that is installed."""
    out = tmp_path / "sbom.json"
    env = {**os.environ, "TOOLS": sys.executable}
    subprocess.run([ROOT / ".ci" / "sbom", out, sys.executable], check=True, env=env)
    told = json.loads(out.read_bytes())
    assert (told["bomFormat"], told["metadata"]["component"]["name"]) == ("CycloneDX", "costaudit")
    versions = {one["name"].lower().replace("_", "-"): one["version"] for one in told["components"]}
    for name in NAMES:
        assert versions[name] == version(name), name


ANSWERS = {
    "a vulnerability": (
        """{"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "CVE-1",
        "fix_versions": ["2"]}]}, {"name": "b", "version": "1", "vulns": []}]}""",
        1, "a 1: CVE-1, mended in 2\n2 of 2 packages looked up, 1 vulnerabilities\n",
    ),
    "none": (
        """{"dependencies": [{"name": "a", "version": "1", "vulns": []}]}""",
        0, "1 of 1 packages looked up, 0 vulnerabilities\n",
    ),
    "an index without it": (
        """{"dependencies": [{"name": "a", "skip_reason": "not found"}]}""",
        0, "skipped: not found\n",
    ),
    "no network": ("", 0, "skipped: no connection\n"),
}  # fmt: skip


@pytest.mark.parametrize("case", ANSWERS)
def test_known_vulnerabilities_are_named_or_the_check_is_skipped(case: str) -> None:
    printed, code, said = ANSWERS[case]
    answer = [
        sys.executable,
        "-c",
        f"import sys; print({printed!r}); sys.stderr.write('x\\nno connection')",
    ]
    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "audit.py", *answer], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (code, said)


TELEMETRY = """
import os, sys
from costaudit.cli.main import main
assert "huggingface_hub" not in sys.modules
main(["schema"])
from huggingface_hub import constants
assert constants.HF_HUB_DISABLE_TELEMETRY
assert os.environ["DO_NOT_TRACK"] == "1"
"""
IMPORTS = """
import sys
def hook(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise SystemExit(f"{event} {arguments}")
sys.addaudithook(hook)
from importlib import import_module
from importlib.metadata import packages_distributions
from costaudit.engine.hub import without_telemetry
without_telemetry()
wanted = set(sys.argv[1:])
for module, owners in packages_distributions().items():
    if wanted.intersection(one.lower().replace("_", "-") for one in owners):
        if module.isidentifier() and not module.startswith("_"):
            import_module(module)
            wanted -= {one.lower().replace("_", "-") for one in owners}
import time
time.sleep(1)  # a thread that reports would have started
assert not wanted, wanted
"""


def test_telemetry_of_dependencies_is_off_before_they_are_imported() -> None:
    env = {name: value for name, value in os.environ.items() if name != "DO_NOT_TRACK"}
    env.pop("HF_HUB_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-c", TELEMETRY], check=True, env=env, capture_output=True)


@pytest.mark.slow  # it imports everything, torch too
def test_no_dependency_asks_for_a_connection_when_it_is_imported() -> None:
    subprocess.run([sys.executable, "-c", IMPORTS, *NAMES], check=True)
