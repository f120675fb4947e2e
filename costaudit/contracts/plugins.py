"""Find a plug-in by the name that its package registers, or as `module:Class`."""

import hashlib
import importlib
import importlib.util
import re
import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal
from urllib.parse import parse_qsl

from costaudit.errors import BackendError, CostauditError, UsageError

PluginKind = Literal["sources", "embedders", "caches", "judges", "levers", "reporters"]
_CLASS = re.compile(r"(?P<where>[A-Za-z_][\w.]*|.+\.py):(?P<name>[A-Za-z_]\w*)")


@cache
def registered(kind: PluginKind) -> dict[str, EntryPoint]:
    """Return the plug-ins of a kind that installed packages register, by name, sorted."""
    found = {point.name: point for point in entry_points(group=f"costaudit.{kind}")}
    return dict(sorted(found.items()))


def plugin(kind: PluginKind, name: str) -> Any:
    """Return the plug-in of a registered name, `module:Class` or `file.py:Class`; else None.

    Every process finds the same plug-in. Raises UsageError if the plug-in can't be loaded.
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


def made(kind: PluginKind, text: str, methods: tuple[str, ...]) -> Any:
    """Make an object of the plug-in that `text` names; return None if it names no plug-in.

    Text after a question mark holds keyword arguments of the class, and each value is a text:
    `module:Class?url=redis://HOST`. Raises UsageError if an argument is wrong or the object
    lacks one of `methods`. Raises BackendError if the class fails.
    """
    name, _, query = text.partition("?")
    kind_of_object = plugin(kind, name)
    if kind_of_object is None:
        return None
    try:
        one = kind_of_object(**dict(parse_qsl(query, keep_blank_values=True)))
    except CostauditError:
        raise
    except TypeError as error:
        raise UsageError(
            f"{name} can't be made: {error}.",
            hint="Its keyword arguments follow a question mark: module:Class?url=redis://HOST.",
        ) from None
    except Exception as error:
        raise BackendError(
            f"{name} can't be made: {type(error).__name__}: {error}", hint="Check its class."
        ) from error
    missing = [method for method in methods if not hasattr(one, method)]
    if missing:
        raise UsageError(
            f"{name} has no `{'` and no `'.join(missing)}`.",
            hint=f"A class for costaudit.{kind} needs {', '.join(methods)}; see docs/plugins.md.",
        )
    return one


def _module(where: str) -> ModuleType:
    if not where.endswith(".py"):
        return importlib.import_module(where)
    path = Path(where).resolve()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {where}")
    return _file(path, path.stat().st_mtime_ns)


@cache
def _file(path: Path, changed_ns: int) -> ModuleType:
    """Import a file once for each version of its content, so that its classes stay the same."""
    name = path.stem
    if name in sys.modules:  # of another file, or of a library
        name = f"{name}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
