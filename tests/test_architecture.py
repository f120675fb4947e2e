"""The architecture: which imports are allowed, how long a file may be, and what --help may load."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import costaudit

PACKAGE = Path(costaudit.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
STAGES = {"ingest", "embed", "simulate", "answers", "levers", "replay", "costing", "report"}
SHARED_PACKAGES = {
    "contracts", "errors", "untrusted", "thrift", "progress", "engine", "metrics", "providers",
    "scratch",
}  # fmt: skip
REACHABLE = {
    **dict.fromkeys(STAGES, SHARED_PACKAGES),
    "contracts": {"errors", "untrusted", "scratch"},
    "errors": set(),
    "scratch": set(),
    "thrift": set(),
    "untrusted": {"errors", "thrift"},
    "progress": set(),
    "engine": {"errors", "progress", "scratch"},
    "providers": {"errors"},
    "metrics": set(),
}  # what each top-level folder may import; pipeline, cli and the entry points may import all
FOLDERS = {
    "ingest": ("calls", "mapping", "content", "sources", "files", "bills", "staging", "assembly"),
    "simulate.prefix": ("tree", "rules", "caches", "breakers", "advice", "sessions"),
    "answers": ("traps", "judge"),
    "report": ("charts", "tables"),
    "replay": ("caches", "warming"),
}  # a folder never imports from a later one
LONGEST = 400
MOST_PARAMETERS = 6
MOST_IN_A_FOLDER = 17
EVERY_VERB = "cli"  # has one file per verb, so its size isn't limited
HEAVY = {
    "torch", "sentence_transformers", "transformers", "faiss", "openai", "anthropic", "boto3",
    "numba", "altair", "scipy", "ray", "redis", "redisvl", "openvino", "playwright",
}  # fmt: skip


def name_of(path: Path) -> str:
    """Return the dotted name of a module of the package, without `costaudit.`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path): path for path in MODULES}


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a file; all tests share one per file."""
    return ast.parse(path.read_text("utf-8"))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Return all nodes of a file's syntax tree."""
    return tuple(ast.walk(tree_of(path)))


@cache
def imported(path: Path, *, top_level_only: bool = False) -> frozenset[str]:
    """Return the modules that a file imports; without `top_level_only`, also inside functions."""
    names: set[str] = set()
    for node in tree_of(path).body if top_level_only else nodes(path):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def edges() -> Iterator[tuple[str, str]]:
    """Yield each import between two modules of the package, by their names."""
    for name, path in NAMES.items():
        own = (one.removeprefix("costaudit.") for one in imported(path) if "costaudit." in one)
        yield from ((name, other) for other in own if other in NAMES and other != name)


def test_stages_share_only_some_packages() -> None:
    wrong = []
    for name, other in edges():
        here, there = name.split(".")[0], other.split(".")[0]
        if here in REACHABLE and there != here and there not in REACHABLE[here]:
            wrong.append(f"{name} imports {other}")
    assert not wrong


def test_no_import_leads_back() -> None:
    graph: dict[str, set[str]] = {name: set() for name in NAMES}
    for name, other in edges():
        if other not in name.split(".") and not name.startswith(f"{other}."):
            graph[name].add(other)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as cycle:
        raise AssertionError(" imports ".join(reversed(cycle.args[1]))) from None


def test_folders_of_a_stage_stand_in_one_order() -> None:
    wrong = []
    for stage, folders in FOLDERS.items():
        places = {f"{stage}.{folder}": place for place, folder in enumerate(folders)}
        for name, other in edges():
            here, there = name.rpartition(".")[0], other.rpartition(".")[0]
            if here in places and there in places and places[here] < places[there]:
                wrong.append(f"{name} imports {other}")
    assert not wrong


def test_files_and_folders_are_of_a_readable_size_and_say_what_they_are_for() -> None:
    wrong = []
    for path in MODULES:
        text = path.read_text("utf-8")
        if len(text.splitlines()) > LONGEST:
            wrong.append(f"{path} has {len(text.splitlines())} lines")
        if not ast.get_docstring(tree_of(path)):
            wrong.append(f"{path} has no docstring")
    for folder in {path.parent for path in MODULES}:
        count = len(list(folder.glob("*.py")))
        if count > MOST_IN_A_FOLDER and folder.name != EVERY_VERB:
            wrong.append(f"{folder} holds {count} files")
    assert not wrong


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return the names of the arguments that a caller passes."""
    given = function.args
    extra = [one for one in (given.vararg, given.kwarg) if one]
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs, *extra)]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def is_free_of_the_limit(path: Path, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether a function may have many parameters: it is compiled, or it is a verb."""
    compiled = any("njit" in ast.unparse(one) for one in function.decorator_list)
    return compiled or (path.parent.name == EVERY_VERB and function.name == path.stem)


def test_no_function_takes_more_than_six_parameters() -> None:
    wrong = [
        f"{path}:{node.lineno} {node.name} takes {len(parameters(node))}"
        for path in MODULES
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and len(parameters(node)) > MOST_PARAMETERS
        and not is_free_of_the_limit(path, node)
    ]
    assert not wrong


def test_what_a_call_was_is_written_down_once() -> None:
    """Check that only the contracts and the log readers name these values of REQUESTS."""
    wrong = []
    for path in MODULES:
        place = name_of(path)
        if place.startswith(("contracts.", "ingest.")):
            continue
        for node in nodes(path):
            if isinstance(node, ast.Compare) and ast.unparse(node).count("'gateway_cache'"):
                wrong.append(f"{path}:{node.lineno}: use SENT_TO_PROVIDER or GATEWAY_SERVED")
            if isinstance(node, ast.List) and ast.unparse(node) == "['provider', 'gateway']":
                wrong.append(f"{path}:{node.lineno}: use COUNTED")
    assert not wrong


def test_heavy_libraries_and_compiled_loops_load_inside_functions() -> None:
    wrong = []
    for path in MODULES:
        names = imported(path, top_level_only=True)
        heavy = {name.split(".")[0] for name in names} & HEAVY
        if path.stem.endswith("kernels"):  # compiled code: imported inside functions only
            heavy.discard("numba")
        kernels = {name for name in names if name.startswith("costaudit.") and "kernels" in name}
        wrong += [f"{path} imports {name} at the top" for name in sorted(heavy | kernels)]
    assert not wrong


def test_no_test_imports_another_test_module() -> None:
    """Code that several tests need is in its own module, or in conftest.py."""
    files = sorted(Path(__file__).parent.rglob("*.py"))
    found = [
        f"{path.name}: {name}"
        for path in files
        for name in imported(path)
        if any(part.startswith("test_") for part in name.split("."))
    ]
    assert len(files) > 200 and found == []


def patched(call: ast.Call) -> str | None:
    """Return the last part of the name that a call patches; None if it patches nothing."""
    how = ast.unparse(call.func)
    texts = [one.value for one in call.args if isinstance(one, ast.Constant)]
    names = [one for one in texts if isinstance(one, str)]
    if names and how.endswith((".setattr", "patch", "patch.object")):
        return names[0].rpartition(".")[2]
    return None


def test_tests_patch_no_private_name_and_no_constant() -> None:
    """Tests only set parameters and options, which a user of the package can set too.

    Constants of other packages, such as the registry of prometheus_client, may be patched.
    """
    wrong = []
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        for node in nodes(path):
            if isinstance(node, ast.Call):
                name = patched(node) or ""
                foreign = "prometheus_client." in ast.unparse(node)
                if (name.startswith("_") or (name.isupper() and not foreign)) and name:
                    wrong.append(f"{path}:{node.lineno} patches {name}")
            if isinstance(node, ast.Assign):
                wrong += [
                    f"{path}:{node.lineno} sets {ast.unparse(target)}"
                    for target in node.targets
                    if isinstance(target, ast.Attribute) and target.attr.isupper()
                ]
    assert not wrong


def test_help_loads_no_heavy_module() -> None:
    code = (
        "import sys\n"
        "from costaudit.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(*sorted({m.split('.')[0] for m in sys.modules}), file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stderr.split())
    assert not loaded & (HEAVY | {"polars", "pyarrow", "numpy", "jinja2", "genai_prices"})


UNCLEAR = (
    "stands",
    "stood",
    "hangs",
    "would-be",
    "whence",
    "thereof",
    "gives",
    "at hand",
    "of which",
)


def test_docstrings_use_plain_words() -> None:
    """Forbid words that confuse readers with another first language."""
    unclear = re.compile(rf"\b({'|'.join(UNCLEAR)})\b")
    wrong = []
    for path in MODULES:
        for node in nodes(path):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                found = unclear.search(ast.get_docstring(node) or "")
                if found:
                    wrong.append(f"{path}: {found[0]!r} in {getattr(node, 'name', 'the module')}")
    assert not wrong
