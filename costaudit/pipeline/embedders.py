"""The same log under several embedders, side by side."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

from costaudit.contracts.semantic import EmbedderRow
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.semantic import decide
from costaudit.pipeline.semantic_run import SemanticRun
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.pipeline.uncacheable import nothing_to_compare
from costaudit.progress import Progress
from costaudit.simulate.semantic.thresholds import parse_thresholds

_TIMED = 32  # texts that are embedded one by one, to time a lookup
_FLOAT_BYTES = 4


def compare_embedders(
    log: Loaded, options: AnalyzeOptions, names: Sequence[str], progress: Progress
) -> tuple[EmbedderRow, ...]:
    """Sweep the log with each embedder, and give the point that it would be recommended at.

    Raises InsufficientDataError where the log holds no question to compare.
    """
    return tuple(_row(log, options, name, progress) for name in names)


def _row(log: Loaded, options: AnalyzeOptions, name: str, progress: Progress) -> EmbedderRow:
    policy = replace(options.policy, embedder=name)
    run = SemanticRun(log, replace(options, policy=policy), progress)
    if not run.eligible.any():
        raise nothing_to_compare(log, policy)
    decided = decide(run, parse_thresholds(options.thresholds), options.max_wrong_share)
    point = decided.points[decided.chosen]
    return EmbedderRow(
        name=name,
        revision=run.embedder.revision,
        dimensions=run.embedder.dimensions,
        bytes_per_vector=_FLOAT_BYTES * run.embedder.dimensions,
        lookup_ms=_lookup_ms(run),
        cut_texts=run.cut_texts,
        min_similarity=decided.choice.min_similarity,
        raw_hit_share=point.raw_hit_share,
        valid_hit_share=point.valid_hit_share,
        unsafe_served_share=point.unsafe_served_share,
        net_saved=point.net_saved,
        warning=run.language_warning,
    )


def _lookup_ms(run: SemanticRun) -> float:
    """Embed some of the log's own texts one by one; the first call, which loads, is not counted."""
    texts = run.stream.texts["text"].head(_TIMED + 1).to_list()
    spent = []
    for text in texts:
        started = time.perf_counter()
        run.embedder.encode([text])
        spent.append(1e3 * (time.perf_counter() - started))
    return statistics.median(spent[1:] or spent)
