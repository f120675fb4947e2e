"""Names of caches with fields in braces: one cache for each tenant, as llmcache-{tenant}."""

from collections.abc import Mapping
from string import Formatter

from costaudit.errors import UsageError

FIELDS = ("tenant", "user", "endpoint", "model", "provider")


def names_in(template: str) -> tuple[str, ...]:
    """Return the fields in a name's braces; raises UsageError for what is no field of a log."""
    try:
        names = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    except ValueError:
        names = [template]
    unknown = [name for name in names if name not in FIELDS]
    if unknown:
        raise UsageError(
            f"The name {template} can't be filled in.",
            hint=f"Braces hold one of {', '.join(FIELDS)}: llmcache-{{tenant}}.",
        )
    return tuple(dict.fromkeys(names))


def filled_name(template: str, scope: Mapping[str, str]) -> str:
    """Put the values of a scope into a name's braces."""
    return template.format(**{name: scope.get(name, "") for name in names_in(template)})
