"""A fresh environment for packages that a test installs: dependencies, but no checkout."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Fresh:
    """A virtual environment for one test."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def install(self, *what: str | Path) -> None:
        """Install packages without their dependencies and without network access."""
        quiet = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-index")
        subprocess.run(
            [sys.executable, "-m", "pip", "--python", self.python, "install", *quiet,
             "--no-build-isolation", *map(str, what)],
            check=True, env=_without_path(),
        )  # fmt: skip


def fresh_environment(folder: Path, *, with_checkout: bool) -> Fresh:
    """Create an environment that shares the installed dependencies, and optionally the checkout."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    shared = [path for path in sys.path if path.endswith("-packages")]
    checkout = [str(ROOT)] if with_checkout else []
    (site / "shared.pth").write_text("\n".join([*checkout, *shared]) + "\n")
    return Fresh(folder)


def _without_path() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
