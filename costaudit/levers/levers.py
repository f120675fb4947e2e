"""List the levers in the ledger's order, and suggestions to test."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import polars as pl

from costaudit.contracts.ledger import Lever, LeverRule, Suggestion, check_lever
from costaudit.contracts.plugins import made, registered
from costaudit.errors import UsageError
from costaudit.levers.batch import batch, batch_by_name
from costaudit.levers.compression import large_images, long_prompts
from costaudit.levers.effects import placed_segments
from costaudit.levers.embeddings import repeated_embeddings
from costaudit.levers.loops import loops, unfinished
from costaudit.levers.output import (
    cut_answers,
    heavy_reasoning,
    indented_answers,
    large_schemas,
    long_answers,
)
from costaudit.levers.prompt_text import (
    COMPACT_JSON,
    ENCODED,
    PADDING,
    repeated_blocks,
    rewritten,
)
from costaudit.levers.routing import smaller_models
from costaudit.levers.tiers import idle_priority, untried_tiers
from costaudit.levers.tools import unused_tools
from costaudit.levers.waste import invalid_json, waste


@dataclass(frozen=True)
class Proposals:
    """Levers with evidence in a log, and suggestions to test."""

    levers: tuple[Lever, ...]
    worth_testing: tuple[Suggestion, ...]


def propose(
    requests: pl.DataFrame,
    blocks: pl.DataFrame,
    count_tokens: Callable[[str], int],
    batch_endpoints: Collection[str] = (),
    own: Sequence[Lever | None] = (),
) -> Proposals:
    """Return what each lever would change; levers with nothing to change are left out.

    requests: REQUESTS; blocks: BLOCKS; count_tokens: tokens of a text by the run's tokenizer; own:
    what the user's levers propose; they come last.
    """
    segments = placed_segments(requests)
    batched, dearer = batch(requests, batch_endpoints), idle_priority(requests)
    useless = waste(requests)
    levers = (
        unused_tools(requests, blocks, segments),
        repeated_blocks(requests, segments),
        *(
            rewritten(requests, blocks, segments, count_tokens, how)
            for how in (ENCODED, COMPACT_JSON, PADDING)
        ),
        repeated_embeddings(requests, segments),
        indented_answers(requests, blocks, count_tokens),
        dearer,
        batched,
        loops(requests, segments, blocks),
        invalid_json(requests, blocks, useless),
        useless,
        *own,
    )
    tests = (
        smaller_models(requests, blocks),
        long_answers(requests),
        cut_answers(requests, useless),
        large_schemas(requests, count_tokens),
        heavy_reasoning(requests),
        long_prompts(requests, segments),
        large_images(requests, segments),
        batch_by_name(requests, batched),
        untried_tiers(requests, dearer),
        unfinished(requests),
    )
    found = tuple(lever for lever in levers if lever is not None)
    for place, lever in enumerate(found):
        check_lever(lever, len(requests), [one.lever for one in found[:place]])
    return Proposals(
        found,
        tuple(test for test in tests if test is not None),
    )


def lever_at(name: str) -> LeverRule:
    """Return the user's own lever: a registered name, module:Class or file.py:Class.

    Raises UsageError for an unknown name.
    """
    own: LeverRule | None = made("levers", name, ("propose",))
    if own is None:
        known = ", ".join(registered("levers")) or "none"
        raise UsageError(
            f"There is no lever {name!r} to add.",
            hint=f"Name a class, such as ./my_lever.py:MyLever. Installed levers: {known}.",
        )
    return own
