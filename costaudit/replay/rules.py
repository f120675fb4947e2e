"""Which rules of a policy a live cache can be held to, before anything is sent."""

from costaudit.errors import UsageError
from costaudit.replay.cache import LiveCache
from costaudit.replay.options import ReplayOptions
from costaudit.replay.upstream import Upstream


def check_rules(cache: LiveCache, upstream: Upstream, options: ReplayOptions) -> None:
    """Raise UsageError for a rule that this cache would not keep, rather than let it slip."""
    if options.max_entries is not None:
        _check_size(cache, upstream, options)
    if options.guard and not cache.keeps_rules:
        raise UsageError(
            f"{cache.name} serves what it finds near enough, so it can't be held to a guard: that "
            "is a rule of the application around it.",
            hint="Replay through memory://, which keeps guards, or leave --guard out.",
        )


def _check_size(cache: LiveCache, upstream: Upstream, options: ReplayOptions) -> None:
    if not cache.keeps_rules:
        raise UsageError(
            f"{cache.name} can't be held to {options.max_entries:,} entries a scope: it evicts by "
            "its own memory, if at all.",
            hint="Replay through memory://, which evicts as the simulation does, or leave "
            "--max-entries out and set maxmemory and maxmemory-policy on the server.",
        )
    if upstream.is_live:
        raise UsageError(
            "A cache of limited size is replayed with the log's own answers only.",
            hint="Leave --upstream out, or --max-entries.",
        )
    if options.resume_path is not None:
        raise UsageError(
            "A replay through a cache of limited size keeps no journal: who used which entry when "
            "is not in it.",
            hint="Leave the journal out; it starts anew, and costs nothing.",
        )
