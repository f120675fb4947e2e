"""The house: who may import whom, how long a module may be, and what --help may load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import costaudit

PACKAGE = Path(costaudit.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
STAGES = {
    "ingest", "embed", "simulate", "answers", "levers", "replay", "costing", "report",
}  # fmt: skip
HALL = {"contracts", "errors", "progress", "engine"}
HEAVY = {
    "torch", "sentence_transformers", "transformers", "faiss", "openai", "anthropic", "boto3",
    "numba", "altair", "scipy", "ray", "redis", "redisvl", "openvino", "playwright",
}  # fmt: skip


def imported(path: Path, *, top_level_only: bool = False) -> set[str]:
    """List the modules that a file imports, those inside functions too unless told otherwise."""
    tree = ast.parse(path.read_text("utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def room(path: Path) -> str:
    """Name the top-level folder or module of the package that a file belongs to."""
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def rooms_imported(path: Path) -> set[str]:
    """Name the rooms of the package that a file imports from."""
    own = {name for name in imported(path) if name.startswith("costaudit.")}
    return {name.split(".")[1] for name in own}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_rooms_meet_only_in_the_hall(path: Path) -> None:
    here = room(path)
    reached = rooms_imported(path) - {here}
    if here in STAGES:
        assert reached <= HALL, f"{here} imports {sorted(reached - HALL)}"
    elif here == "contracts":
        assert reached <= {"errors"}
    elif here in {"errors", "progress", "__init__"}:
        assert not reached
    elif here == "engine":
        assert reached <= {"errors", "progress"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_are_short_and_say_what_they_are_for(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 310
    assert ast.get_docstring(ast.parse(text)), "a module docstring says what the file is for"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_heavy_libraries_load_inside_functions(path: Path) -> None:
    heavy = {name.split(".")[0] for name in imported(path, top_level_only=True)} & HEAVY
    if path.stem.endswith("kernels"):  # compiled code: imported by functions, never at the top
        heavy.discard("numba")
    assert not heavy


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_compiled_kernels_load_inside_functions(path: Path) -> None:
    names = imported(path, top_level_only=True)
    assert not {name for name in names if name.startswith("costaudit.") and "kernels" in name}


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
