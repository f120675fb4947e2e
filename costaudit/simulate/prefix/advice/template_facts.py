"""Collect what each prompt template holds, reads and loses."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from costaudit.contracts.prefix import Claim, PartShare
from costaudit.contracts.requests import READS_COUNTED
from costaudit.contracts.run_dir import column
from costaudit.simulate.prefix.advice.claims import claim_of
from costaudit.simulate.prefix.advice.markers import Plan
from costaudit.simulate.prefix.advice.plans import Planned
from costaudit.simulate.prefix.advice.snippets import Spot, body_form, snippet
from costaudit.simulate.prefix.breakers.breakers import BreakerFacts
from costaudit.simulate.prefix.breakers.losses import Today
from costaudit.simulate.prefix.caches.static_share import PARTS, Parts, static_tokens
from costaudit.simulate.prefix.tree.prompts import Groups, Prompts
from costaudit.simulate.segments import ROLES, Small

_PLACES = (
    ("tools", "after the tools"),
    ("static", "after {part}"),
    ("last", "after the last message"),
)
CUT_SHARE = 0.05  # share of a template's prompts above which their missing parts matter
_NAMES = {"tools": "the tools", "system": "the system prompt", "examples": "the examples"}


def describe(plan: Plan, part: str, block: int) -> str:
    """Return text about where markers are, such as "after the system prompt (1h)"."""
    if plan.keep:
        return "as now"
    said = [
        f"{words.format(part=_ending(part, block))} ({getattr(plan, place)})"
        for place, words in _PLACES
        if getattr(plan, place)
    ]
    if plan.own:
        said.append("the provider's own at the end")
    return ", ".join(said) or "none"


def _ending(part: str, block: int) -> str:
    name = _NAMES.get(part, part)
    return name if block < 0 else f"block {block + 1} of {name}"


@dataclass(frozen=True)
class TemplateFacts:
    """One prompt template."""

    template_id: str
    endpoint: str
    provider: str
    model: str
    rows: Small  # row numbers of its requests
    input_tokens: int
    static_tokens: int
    billed_read_tokens: int | None  # None if no request has counters
    as_is_read_tokens: int
    read_ratio: float | None  # simulated reads / billed reads, if both are known
    claim: Claim
    claimed_share: float  # share of the best prompts' effect that the bill supports
    best_markers: str  # as text
    snippet: str  # code to paste; "" if there is nothing to set
    parts: tuple[PartShare, ...]
    breakers: tuple[BreakerFacts, ...]  # the largest loss first


def template_facts(
    requests: pl.DataFrame,
    today: Today,
    planned: Planned,
    parts: Parts,
    breakers: tuple[BreakerFacts, ...],
) -> tuple[TemplateFacts, ...]:
    """Return the facts of each template."""
    prompts, groups, as_is = today.prompts, today.groups, today.as_is
    shares = part_shares(prompts, planned.prompts, groups, parts)
    counted = requests.select(READS_COUNTED).to_series().to_numpy()
    read = column(requests, "cache_read_tokens").fill_null(0).to_numpy()
    of_group: dict[int, list[BreakerFacts]] = {}
    for item in breakers:
        of_group.setdefault(item.group, []).append(item)
    found = []
    for number, group in enumerate(groups.groups):
        rows = groups.rows[number]
        where = planned.static_part[number], planned.static_block[number]
        plan = planned.plans[number]
        rules = today.assigned.rules[today.assigned.index[rows[-1]]]
        trusted = rows[counted[rows]]
        billed_read = int(read[trusted].sum()) if len(trusted) else None
        simulated_read = int(as_is.read[trusted].sum())
        claim = claim_of(
            billed_read, simulated_read, int(prompts.billed[trusted].sum()),
            cut=bool(prompts.cut[rows].mean() > CUT_SHARE),
        )  # fmt: skip
        found.append(
            TemplateFacts(
                template_id=group.template_id,
                endpoint=group.endpoint,
                provider=group.provider,
                model=group.model,
                rows=rows,
                input_tokens=int(prompts.billed[rows].sum()),
                static_tokens=int(today.static[rows].sum()),
                billed_read_tokens=billed_read,
                as_is_read_tokens=int(as_is.read[rows].sum()),
                read_ratio=simulated_read / billed_read if billed_read else None,
                claim=claim,
                claimed_share=_claimed_share(claim, billed_read or 0, simulated_read),
                best_markers=describe(plan, *where),
                snippet=snippet(
                    plan,
                    _spot(prompts, int(rows[-1]), *where),
                    rules,
                    body_form(requests, int(rows[-1]), rules),
                    _marked_roles(prompts, int(rows[-1])),
                ),
                parts=shares[number],
                breakers=tuple(of_group.get(number, ())),
            )
        )
    return tuple(found)


def _spot(prompts: Prompts, request: int, part: str, block: int) -> Spot:
    """Return the end of a template's static head, in the messages of one of its requests."""
    first, last = prompts.segments.offsets[request : request + 2]
    role = prompts.segments.role[first:last]
    turns = np.flatnonzero(role >= ROLES.index("user"))
    if part in ("tools", "system") or not len(turns):
        return Spot(part, block)
    at = min(int(turns[0]) + (block if block >= 0 else 0), len(role) - 1)
    changes = np.flatnonzero(np.diff(role[: at + 1].astype(np.int64))) + 1
    start = int(changes[-1]) if len(changes) else 0
    return Spot(part, at - start, int((changes > turns[0]).sum()))


def _marked_roles(prompts: Prompts, request: int) -> frozenset[str]:
    """Return the roles that have cache markers in a request."""
    first, last = prompts.segments.offsets[request : request + 2]
    role = prompts.segments.role[first:last][prompts.segments.marker[first:last] > 0]
    return frozenset(ROLES[one] for one in role)


def _claimed_share(claim: Claim, billed: int, simulated: int) -> float:
    if claim == "none":
        return 0.0
    return 1.0 if claim == "simulated" else min(1.0, billed / max(simulated, 1))


def part_shares(
    prompts: Prompts, mended: Prompts, groups: Groups, parts: Parts
) -> tuple[tuple[PartShare, ...], ...]:
    """Return each template's tokens by part, without parts that none of its prompts has."""
    from costaudit.simulate.prefix.caches.share_kernels import segment_shares, sums_by_part

    offsets = prompts.segments.offsets
    count = len(groups.groups)
    after, _ = static_tokens(mended, prompts.sendable)
    _, inside = segment_shares(offsets, mended.segment_tokens, after)
    tokens, static, freed = (
        sums_by_part(offsets, groups.index, count, parts.part, len(PARTS), values)
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
