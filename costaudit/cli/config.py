"""Options from a file: the table of a verb in costaudit.toml stands for what isn't on the line."""

import tomllib
from pathlib import Path
from typing import Any

import typer

from costaudit.errors import InputError, UsageError


def read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Make the verb's table the defaults of its options; the command line goes before it."""
    if path is not None:
        verb = context.command.name or ""
        context.default_map = _defaults(_table(path, verb), f"{path}, [{verb}]", context)
    return path


def _table(path: Path, verb: str) -> dict[str, Any]:
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            f"The configuration {path} can't be read: {getattr(error, 'strerror', error)}.",
            hint='It is TOML, a table for each verb: [analyze], then lines such as ttl = "24h".',
        ) from None
    table = tables.get(verb, {})
    if not isinstance(table, dict):
        raise UsageError(f"{path}: {verb!r} is no table.", hint=f"Write [{verb}].")
    return table


def _defaults(table: dict[str, Any], where: str, context: typer.Context) -> dict[str, Any]:
    """Bring names as they stand on the command line to the parser's own."""
    names = {
        option.removeprefix("--"): str(parameter.name)
        for parameter in context.command.params
        for option in parameter.opts
        if option.startswith("--") and option not in ("--config", "--help")
    }
    for key in table:
        if key not in names:
            raise UsageError(
                f"{where}: there is no option {key!r}.",
                hint=f"Choose from {', '.join(sorted(names))}.",
            )
    return {names[key]: value for key, value in table.items()}
