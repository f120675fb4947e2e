"""Attributes of OpenTelemetry spans and log records, in any JSON form, as flat names and values."""

from typing import Any

SCALARS = ("stringValue", "boolValue", "doubleValue", "string_value", "bool_value", "double_value")


def attributes_of(record: dict[str, Any]) -> dict[str, Any]:
    """Flatten a record's attributes: OTLP's list of keys, or an object, nested or dotted."""
    return flat(record.get("attributes"))


def flat(attributes: Any) -> dict[str, Any]:
    """Flatten attributes to dotted names."""
    if isinstance(attributes, list):
        pairs = [a for a in attributes if isinstance(a, dict) and isinstance(a.get("key"), str)]
        return {a["key"]: plain(a.get("value")) for a in pairs}
    found: dict[str, Any] = {}
    if isinstance(attributes, dict):
        _flatten(attributes, "", found, 0)
    return found


def _flatten(value: dict[str, Any], prefix: str, found: dict[str, Any], depth: int) -> None:
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, dict) and depth < 8:
            _flatten(item, f"{name}.", found, depth + 1)
        elif item is not None:
            found[name] = item


def plain(value: Any, depth: int = 0) -> Any:
    """Take OTLP's typed values for what they hold."""
    if not isinstance(value, dict) or depth > 64:
        return value
    for name in SCALARS:
        if name in value:
            return value[name]
    for name in ("intValue", "int_value"):
        if name in value:
            number = value[name]
            return int(number) if str(number).lstrip("-").isdigit() else None
    items = _values(value.get("arrayValue", value.get("array_value")))
    if items is not None:
        return [plain(item, depth + 1) for item in items]
    pairs = _values(value.get("kvlistValue", value.get("kvlist_value")))
    if pairs is not None:
        return {
            p["key"]: plain(p.get("value"), depth + 1)
            for p in pairs
            if isinstance(p, dict) and isinstance(p.get("key"), str)
        }
    return value


def _values(holder: Any) -> list[Any] | None:
    if not isinstance(holder, dict):
        return None
    values = holder.get("values")
    return values if isinstance(values, list) else []


def nested(attributes: dict[str, Any], prefix: str) -> Any:
    """Gather `prefix.0.message.role` and the like into lists and objects, or None."""
    root: dict[str, Any] = {}
    for name, value in attributes.items():
        if not name.startswith(prefix + "."):
            continue
        node = root
        *path, last = name[len(prefix) + 1 :].split(".")
        for step in path:
            inner = node.setdefault(step, {})
            if not isinstance(inner, dict):
                break
            node = inner
        else:
            node[last] = value
    return _listed(root) if root else None


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(key.isdigit() for key in value):
        return [_listed(value[key]) for key in sorted(value, key=int)]
    return {key: _listed(item) for key, item in value.items()}
