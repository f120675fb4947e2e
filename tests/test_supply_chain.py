"""What a user names or downloads can't run code, and what costaudit installs reports to nobody."""

import ast
import os
import pickle
from collections.abc import Callable, Iterator
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
