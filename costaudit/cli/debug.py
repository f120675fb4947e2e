"""`costaudit debug`: the facts about a machine that a bug report needs."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import typer

from costaudit import __version__
from costaudit.cli import options as opt
from costaudit.cli import values
from costaudit.cli.process import say

PACKAGES = (
    "anthropic", "boto3", "faiss-cpu", "genai-prices", "msgspec", "numba", "numpy", "openai",
    "openvino", "polars", "pyarrow", "redis", "redisvl", "scipy", "sentence-transformers",
    "tokenizers", "torch", "typer",
)  # fmt: skip
FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd")  # they affect speed
KINDS = ("sources", "embedders", "caches", "judges", "levers", "reporters")


def debug(
    format: str = typer.Option("terminal", "--format", metavar="NAME", help="terminal or json."),
    config: opt.Config = None,
) -> int:
    """Print versions, platform and paths for a bug report.

    It prints nothing from logs or runs, and no values of environment variables.
    """
    import msgspec

    values.one_of(format, ("terminal", "json"), "--format")
    facts = gathered()
    if format == "json":
        typer.echo(msgspec.json.format(msgspec.json.encode(facts), indent=2).decode())
        return 0
    width = max(map(len, facts))
    for name, value in facts.items():
        say(f"{name:<{width}}  {value}", " " * (width + 2))
    return 0


def gathered() -> dict[str, str]:
    """Return facts about this installation, by name."""
    from costaudit.contracts.plugins import registered
    from costaudit.engine.device import accelerator
    from costaudit.engine.pool import default_workers

    plugins = [f"{kind}: {', '.join(found)}" for kind in KINDS if (found := registered(kind))]
    return {
        "costaudit": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "platform": platform.platform(),
        "processor": f"{platform.machine()}, {default_workers()} cores, {_features()}",
        "accelerator": accelerator() or "none",
        "package": str(Path(__file__).parents[1]),
        "interpreter": sys.executable,
        "encoding": f"{sys.stdout.encoding or 'unknown'}, files {sys.getfilesystemencoding()}",
        "plug-ins": "; ".join(plugins) or "none",
        **{name: _version(name) for name in PACKAGES},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _features() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:
        return "features unknown"
    found = set(text.split())
    return " ".join(name for name in FEATURES if name in found) or "no vector extension known"
