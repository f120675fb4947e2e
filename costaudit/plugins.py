"""The plug-in door: what a plug-in implements, and what it is given and returns.

A package registers its classes under the entry-point groups `costaudit.sources` and
`costaudit.caches`; `module:Class` and `file.py:Class` work wherever a name
does. See docs/plugins.md.
"""

from costaudit.ingest.calls.call import Call, Kept, Prompt, Record, Skip, Usage
from costaudit.ingest.calls.fields import Fields
from costaudit.ingest.sources.source import PerRecord, Source
from costaudit.replay.cache import CacheSettings, CacheTraits, Entry, LiveCache, Lookup, Query

__all__ = [
    "CacheSettings",
    "CacheTraits",
    "Call",
    "Entry",
    "Fields",
    "Kept",
    "LiveCache",
    "Lookup",
    "PerRecord",
    "Prompt",
    "Query",
    "Record",
    "Skip",
    "Source",
    "Usage",
]
