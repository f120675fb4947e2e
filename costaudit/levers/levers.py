"""The levers in the order of the ledger, and what is only worth a test."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import polars as pl

from costaudit.contracts.ledger import Lever, Suggestion
from costaudit.levers.batch import batch, batch_by_name
from costaudit.levers.effects import placed_segments
from costaudit.levers.loops import loops
from costaudit.levers.output import heavy_reasoning, long_answers
from costaudit.levers.prompt_text import repeated_blocks, serialisation
from costaudit.levers.routing import smaller_models
from costaudit.levers.tools import unused_tools
from costaudit.levers.waste import waste


@dataclass(frozen=True)
class Proposals:
    """What a log holds evidence for, and what it only points to."""

    levers: tuple[Lever, ...]
    worth_testing: tuple[Suggestion, ...]


def propose(
    requests: pl.DataFrame,
    blocks: pl.DataFrame,
    count_tokens: Callable[[str], int],
    batch_endpoints: Collection[str] = (),
) -> Proposals:
    """Return what each lever would change; levers with nothing to change are left out.

    requests: REQUESTS; blocks: BLOCKS; count_tokens: tokens of a text by the run's tokenizer.
    """
    segments = placed_segments(requests)
    batched = batch(requests, batch_endpoints)
    levers = (
        unused_tools(requests, blocks, segments),
        repeated_blocks(requests, segments),
        serialisation(requests, blocks, segments, count_tokens),
        batched,
        loops(requests, segments),
        waste(requests),
    )
    tests = (
        smaller_models(requests, blocks),
        long_answers(requests),
        heavy_reasoning(requests),
        batch_by_name(requests, batched),
    )
    return Proposals(
        tuple(lever for lever in levers if lever is not None),
        tuple(test for test in tests if test is not None),
    )
