"""The dashboard is checked against the schema that Grafana's own types are generated from."""

import copy
import enum
import json
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from costaudit.replay.monitoring.alerts import write_monitoring
from tests.replay.alert_audit import small_audit
from tests.report.sample_audit import NO_PROMPTS

Page = dict[str, Any]


def faults(page: Page) -> list[str]:
    """Return what Grafana's types don't know about a dashboard, or represent differently."""
    models = pytest.importorskip(
        "grafana_foundation_sdk.models.dashboard", reason="pip install grafana-foundation-sdk"
    )
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins

    register_default_plugins()
    board = models.Dashboard.from_json(page)
    written = json.loads(JSONEncoder().encode(board))
    return [*lost(page, written, "dashboard"), *wrong(board, models.Dashboard, "dashboard")]


def lost(ours: Any, theirs: Any, where: str) -> Iterator[str]:
    """Yield what their types left out or changed; defaults that they add are fine."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name, value in ours.items():
            if name not in theirs:
                yield f"{where}.{name} is unknown"
            else:
                yield from lost(value, theirs[name], f"{where}.{name}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for place, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from lost(mine, other, f"{where}[{place}]")
    elif ours != theirs:
        yield f"{where} was {ours!r} and is {theirs!r}"


def wrong(value: Any, kind: Any, where: str) -> Iterator[str]:
    """Yield values with another type than Grafana's for their field."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is list and isinstance(value, list):
        for place, one in enumerate(value):
            yield from wrong(one, parts[0], f"{where}[{place}]")
    elif origin in (typing.Union, types.UnionType):
        tried = [list(wrong(value, part, where)) for part in parts]
        yield from min(tried, key=len)
    elif not of_kind(value, kind):
        yield f"{where}: {value!r} is no {kind}"
    elif hasattr(type(value), "from_json"):
        module = vars(sys.modules[type(value).__module__])
        for name, hint in typing.get_type_hints(type(value), module).items():
            yield from wrong(getattr(value, name), hint, f"{where}.{name}")


def of_kind(value: Any, kind: Any) -> bool:
    origin = typing.get_origin(kind)
    if origin is typing.Literal:
        return value in typing.get_args(kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return value in [one.value for one in kind]
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind in (object, typing.Any):
        return True
    return isinstance(value, origin or kind)


@pytest.fixture
def page(tmp_path: Path) -> Page:
    _, board = write_monitoring(small_audit(), tmp_path)
    found: Page = json.loads(board.read_bytes())
    return found


def test_grafana_s_types_hold_the_whole_dashboard(page: Page, tmp_path: Path) -> None:
    assert faults(page) == []
    _, board = write_monitoring(NO_PROMPTS, tmp_path)
    assert faults(json.loads(board.read_bytes())) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("panels", 0, "gridpos"), {"x": 0}),
        (("panels", 0, "gridPos", "x"), "left"),
        (("panels", 0, "targets", 0, "expression"), "up"),
        (("panels", 0, "fieldConfig", "defaults", "thresholds", "mode"), "relative"),
        (("panels", 0, "fieldConfig", "defaults", "custom", "thresholdsStyle", "mode"), "thick"),
        (("templating", "list", 0, "type"), "prometheus"),
        (("schemaVersion",), "39"),
    ],
)
def test_a_planted_fault_is_seen(page: Page, path: tuple[Any, ...], value: object) -> None:
    broken: Any = copy.deepcopy(page)
    place = broken
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    assert faults(broken) != []
