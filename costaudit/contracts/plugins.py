"""How a plug-in is found: by the name that its package registers, or as `module:Class`."""

import importlib
import importlib.util
import re
import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from costaudit.errors import UsageError

PluginKind = Literal["sources", "embedders", "caches", "judges", "levers", "reporters"]
_CLASS = re.compile(r"(?P<where>[A-Za-z_][\w.]*|.+\.py):(?P<name>[A-Za-z_]\w*)")


@cache
def registered(kind: PluginKind) -> dict[str, EntryPoint]:
    """Return the plug-ins of a kind that installed packages register, by name, sorted."""
    found = {point.name: point for point in entry_points(group=f"costaudit.{kind}")}
    return dict(sorted(found.items()))


def plugin(kind: PluginKind, name: str) -> Any:
    """Return what a registered name, `module:Class` or `file.py:Class` names; None for others.

    Every process finds it in the same way. Raises UsageError where it can't be loaded.
    """
    point = registered(kind).get(name)
    found = _CLASS.fullmatch(name)
    if point is None and found is None:
        return None
    try:
        if point is not None:
            return point.load()
        assert found is not None
        return getattr(_module(found["where"]), found["name"])
    except Exception as error:
        raise UsageError(
            f"The plug-in {name} can't be loaded: {type(error).__name__}: {error}.",
            hint="Install its package, or name its file: ./my_plugin.py:MyClass.",
        ) from error


def _module(where: str) -> ModuleType:
    if not where.endswith(".py"):
        return importlib.import_module(where)
    path = Path(where)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"there is no file {where}")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module
