"""Options from a file: the table of a verb in costaudit.toml stands for what isn't on the line."""

import tomllib
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import typer

from costaudit.errors import InputError, UsageError


def read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Make the verb's table the defaults of its options; the command line goes before it."""
    if path is not None:
        verb = context.command.name or ""
        context.default_map = _defaults(
            _table(path, verb, _verbs(context)), f"{path}, [{verb}]", context
        )
    return path


def _verbs(context: typer.Context) -> Collection[str]:
    """List the verbs that a table may be named after."""
    return tuple(getattr(context.parent and context.parent.command, "commands", ()))


def _table(path: Path, verb: str, verbs: Collection[str]) -> dict[str, Any]:
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            f"The configuration {path} can't be read: {getattr(error, 'strerror', error)}.",
            hint='It is TOML, a table for each verb: [analyze], then lines such as ttl = "24h".',
        ) from None
    unknown = sorted(set(tables) - set(verbs))
    if unknown:
        nearest = get_close_matches(unknown[0], verbs, n=1)
        known = f"The nearest is [{nearest[0]}]. " if nearest else ""
        raise UsageError(
            f"{path}: there is no verb {unknown[0]!r}.",
            hint=f"{known}A table bears a verb's name: {', '.join(sorted(verbs))}.",
        )
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
    spelt = {key: key.replace("_", "-") for key in table}
    for key, name in spelt.items():
        if name not in names:
            nearest = get_close_matches(name, sorted(names), n=1)
            known = f"The nearest is {nearest[0]!r}. " if nearest else ""
            raise UsageError(
                f"{where}: there is no option {key!r}.",
                hint=f"{known}Choose from {', '.join(sorted(names))}.",
            )
    return {names[spelt[key]]: value for key, value in table.items()}
