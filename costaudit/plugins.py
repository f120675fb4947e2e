"""The plug-in interface: the Protocols that plug-ins implement, and the types they use.

A package registers its classes under the entry-point groups `costaudit.sources`, `.embedders`,
`.caches`, `.judges`, `.levers` and `.reporters`. Options that take such a name also accept
`module:Class` and `file.py:Class`. See docs/plugins.md.
"""

from costaudit.answers.judge.judge import Judge, Reply
from costaudit.contracts.audit import Audit
from costaudit.contracts.ledger import EFFECT, Lever, LeverRule
from costaudit.embed.embedder import Embedder, EmbedderSpec, unit_rows
from costaudit.ingest.calls.call import Call, Kept, Prompt, Record, Skip, Usage
from costaudit.ingest.calls.fields import Fields
from costaudit.ingest.sources.source import PerRecord, Source
from costaudit.levers.effects import effect_of
from costaudit.providers.call import CallError
from costaudit.replay.cache import CacheSettings, CacheTraits, Entry, LiveCache, Lookup, Query
from costaudit.replay.caches.own_class import Context, Hit, OwnCache
from costaudit.report.reporters import Reporter

__all__ = [
    "EFFECT",
    "Audit",
    "CacheSettings",
    "CacheTraits",
    "Call",
    "CallError",
    "Context",
    "Embedder",
    "EmbedderSpec",
    "Entry",
    "Fields",
    "Hit",
    "Judge",
    "Kept",
    "Lever",
    "LeverRule",
    "LiveCache",
    "Lookup",
    "OwnCache",
    "PerRecord",
    "Prompt",
    "Query",
    "Record",
    "Reply",
    "Reporter",
    "Skip",
    "Source",
    "Usage",
    "effect_of",
    "unit_rows",
]
