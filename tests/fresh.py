"""A fresh environment for what a test installs: it sees the dependencies, and no checkout."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Fresh:
    """A virtual environment of its own."""

    folder: Path

    @property
    def python(self) -> Path:
        """Return its interpreter."""
        return self.folder / "bin" / "python"

    def install(self, *what: str | Path) -> None:
        """Install packages without their dependencies, and without a network."""
        quiet = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-index")
        subprocess.run(
            [sys.executable, "-m", "pip", "--python", self.python, "install", *quiet,
             "--no-build-isolation", *map(str, what)],
            check=True, env=_without_path(),
        )  # fmt: skip


def fresh_environment(folder: Path, *, with_checkout: bool) -> Fresh:
    """Make an environment that shares the installed dependencies, and the checkout if wanted."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    shared = [path for path in sys.path if path.endswith("-packages")]
    checkout = [str(ROOT)] if with_checkout else []
    (site / "shared.pth").write_text("\n".join([*checkout, *shared]) + "\n")
    return Fresh(folder)


def _without_path() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
