"""What one prompt template holds, reads and loses."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from costaudit.contracts.prefix import PartShare
from costaudit.simulate.prefix.assigned import Assigned
from costaudit.simulate.prefix.breakers import BreakerFacts
from costaudit.simulate.prefix.groups import Groups
from costaudit.simulate.prefix.plans import Planned
from costaudit.simulate.prefix.prompts import Prompts
from costaudit.simulate.prefix.replay import Replay
from costaudit.simulate.prefix.snippets import describe, snippet
from costaudit.simulate.prefix.static import PARTS, Parts, part_totals, static_tokens
from costaudit.simulate.segments import Ints


@dataclass(frozen=True)
class TemplateFacts:
    """One prompt template."""

    template_id: str
    endpoint: str
    provider: str
    model: str
    rows: Ints  # its requests, as row numbers
    input_tokens: int
    static_tokens: int
    billed_read_tokens: int | None  # None where no request carries counters
    as_is_read_tokens: int
    best_markers: str  # in words
    snippet: str  # paste-ready code; "" where nothing is to be set
    parts: tuple[PartShare, ...]
    breakers: tuple[BreakerFacts, ...]  # those that lose most tokens first


def template_facts(
    requests: pl.DataFrame,
    prompts: Prompts,
    planned: Planned,
    groups: Groups,
    parts: Parts,
    static: Ints,
    assigned: Assigned,
    as_is: Replay,
    breakers: tuple[BreakerFacts, ...],
) -> tuple[TemplateFacts, ...]:
    """Gather what is known of each template."""
    shares = part_shares(prompts, planned.prompts, groups, parts)
    counted = requests["usage_source"].is_in(["provider", "gateway"]).fill_null(False).to_numpy()
    read = requests["cache_read_tokens"].fill_null(0).to_numpy()
    found = []
    for number, group in enumerate(groups.groups):
        rows = np.flatnonzero(groups.index == number)
        where = planned.static_part[number], planned.static_block[number]
        plan = planned.plans[number]
        rules = assigned.rules[assigned.index[rows[-1]]]
        trusted = rows[counted[rows]]
        found.append(
            TemplateFacts(
                template_id=group.template_id,
                endpoint=group.endpoint,
                provider=group.provider,
                model=group.model,
                rows=rows,
                input_tokens=int(prompts.billed[rows].sum()),
                static_tokens=int(static[rows].sum()),
                billed_read_tokens=int(read[trusted].sum()) if len(trusted) else None,
                as_is_read_tokens=int(as_is.read[rows].sum()),
                best_markers=describe(plan, *where),
                snippet=snippet(plan, *where, rules),
                parts=shares[number],
                breakers=tuple(item for item in breakers if item.group == number),
            )
        )
    return tuple(found)


def part_shares(
    prompts: Prompts, mended: Prompts, groups: Groups, parts: Parts
) -> tuple[tuple[PartShare, ...], ...]:
    """Split each template's tokens by part; parts that none of its prompts has are left out."""
    from costaudit.simulate.prefix.part_kernels import segment_shares

    offsets = prompts.segments.offsets
    owner = np.repeat(groups.index, np.diff(offsets))
    count = len(groups.groups)
    after, _ = static_tokens(mended, prompts.sendable)
    _, inside = segment_shares(offsets, mended.segment_tokens, after)
    tokens, static, freed = (
        part_totals(values, parts.part, owner, count)
        for values in (parts.tokens, parts.static, inside)
    )
    return tuple(
        tuple(
            PartShare(
                name, int(tokens[group, part]), int(static[group, part]),
                max(0, int(freed[group, part] - static[group, part])),
            )
            for part, name in enumerate(PARTS)
            if tokens[group, part]
        )
        for group in range(count)
    )  # fmt: skip
