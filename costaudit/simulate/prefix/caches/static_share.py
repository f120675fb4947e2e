"""Find tokens in a prefix that an earlier request had too, by part."""

from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from costaudit.contracts.prefix import PromptPart
from costaudit.simulate.prefix.caches.replay import in_order
from costaudit.simulate.prefix.tree.prompts import NO_TIME, Groups, Prompts
from costaudit.simulate.segments import Codes, Small

PARTS: tuple[PromptPart, ...] = get_args(PromptPart)  # in the order of a prompt
HEAD_PARTS = 3  # the first parts, which may be the same for every request
EXAMPLES_SHARE = 0.5  # messages are examples if this share of a template's requests has them
_DOCUMENT_KINDS = ("document", "file", "search_result")
_FOREVER = 2**61


@dataclass(frozen=True)
class Parts:
    """Parts of the prompts, segment by segment."""

    part: Codes  # index into PARTS
    tokens: Small  # billed input of the segment
    static: Small  # of these, tokens in a prefix identical to an earlier request's


def static_tokens(prompts: Prompts, chosen: NDArray[np.bool_]) -> tuple[Small, Small]:
    """Return, per request, the tokens of the prefix shared with an earlier request of its scope.

    Also return the latest request with this prefix; -1 for none.
    """
    from costaudit.simulate.prefix.caches.cache_kernels import replay_tokens

    never = np.full(len(chosen), NO_TIME, np.int64)
    forever = np.full(len(chosen), _FOREVER, np.int64)
    return replay_tokens(
        in_order(prompts, chosen), prompts.offsets, prompts.node, prompts.tokens,
        never, never, forever, np.zeros(len(chosen), np.bool_), prompts.nodes,
    )  # fmt: skip


def split_parts(prompts: Prompts, groups: Groups, static: Small) -> Parts:
    """Divide prompts into tools, system, examples, documents, history and question.

    Examples are the first messages if at least half of a template's requests share them and no
    request ends there. Documents are marked as documents, or precede the last block of the last
    message.
    """
    from costaudit.simulate.prefix.caches.share_kernels import (
        end_nodes,
        node_visits,
        segment_parts,
        segment_shares,
    )

    segments = prompts.segments
    seg_node = prompts.segment_node
    offsets = segments.offsets
    ends = end_nodes(offsets, seg_node, prompts.sendable, prompts.nodes)
    visits = node_visits(offsets, seg_node, prompts.sendable, prompts.nodes)
    documents = np.array([*(kind in _DOCUMENT_KINDS for kind in segments.kinds), False])
    sizes = np.array([*(group.requests for group in groups.groups), 0])[groups.index]
    enough = np.maximum(2, np.ceil(EXAMPLES_SHARE * sizes)).astype(np.int64)
    part = segment_parts(
        offsets, segments.role, documents[segments.kind], seg_node, visits, ends, enough
    )
    tokens, inside = segment_shares(offsets, prompts.segment_tokens, static)
    return Parts(part, tokens, inside)
