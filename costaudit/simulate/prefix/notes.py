"""What a log lacks for prompt caching, in sentences."""

import numpy as np
import polars as pl

from costaudit.simulate.prefix.markers import Markers
from costaudit.simulate.prefix.prompts import NO_TIME, Prompts


def log_notes(requests: pl.DataFrame, prompts: Prompts, markers: Markers) -> tuple[str, ...]:
    """Say what could not be simulated, and what was assumed instead."""
    chat = requests["kind"].fill_null("chat").to_numpy() == "chat"
    bare = chat & (np.diff(prompts.segments.offsets) == 0)
    read = requests["cache_read_tokens"].fill_null(0).to_numpy()
    cut = requests["truncated"].fill_null(False).to_numpy() & prompts.sendable
    untimed = prompts.sendable & (prompts.start == NO_TIME)
    at_once = prompts.sendable & (prompts.first_byte == prompts.start + 1)
    counts = (
        (bare, "carry no prompt: only their counters are reported"),
        (bare & (read > 0), "carry no prompt and were billed cache reads"),
        (untimed, "carry no time: entries do not expire for them, and they come last"),
        (at_once, "carry no latency: what they write can be read at once"),
        (markers.inferred, "show no marker but billed cache tokens, which tell where it stood"),
        (cut, "have a prompt that the exporter cut: they may share more"),
    )
    return tuple(f"{int(rows.sum()):,} requests {words}." for rows, words in counts if rows.any())
