"""What one prompt template holds, reads and loses, and code that sets its recommended markers."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from costaudit.contracts.prefix import Claim, PartShare
from costaudit.simulate.prefix.advice.claims import claim_of
from costaudit.simulate.prefix.advice.markers import Plan
from costaudit.simulate.prefix.advice.plans import Planned
from costaudit.simulate.prefix.breakers.breakers import BreakerFacts
from costaudit.simulate.prefix.caches.replay import Replay
from costaudit.simulate.prefix.caches.static_share import PARTS, Parts, part_totals, static_tokens
from costaudit.simulate.prefix.rules.rules import Assigned, Rules
from costaudit.simulate.prefix.tree.prompts import Groups, Prompts
from costaudit.simulate.segments import Ints

_PLACES = (
    ("tools", "after the tools"),
    ("static", "after {part}"),
    ("last", "after the last message"),
)
_NAMES = {"tools": "the tools", "system": "the system prompt", "examples": "the examples"}


def describe(plan: Plan, part: str, block: int) -> str:
    """Say in words where markers stand, such as after the system prompt (1h)."""
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


def snippet(plan: Plan, part: str, block: int, rules: Rules) -> str:
    """Write the code for a plan under a provider's rules; "" where there is nothing to set.

    The static head ends in `part` with its block number `block`, -1 for the last.
    """
    if plan.keep or rules.matching != "breakpoints":
        return ""
    if rules.markers == "implicit":
        return _openai(plan, part, block)
    marks = [("tools", -1, plan.tools), (part, block, plan.static), ("messages", -1, plan.last)]
    write = _cache_point if rules.name.startswith("bedrock") else _cache_control
    return "\n".join(write(where, number, ttl) for where, number, ttl in marks if ttl)


def _cache_control(part: str, block: int, ttl: str) -> str:
    control = '{"type": "ephemeral", "ttl": "1h"}' if ttl == "1h" else '{"type": "ephemeral"}'
    inside = '["content"][-1]' if part in ("messages", "examples") else ""
    return f'{part}[{block}]{inside}["cache_control"] = {control}'


def _cache_point(part: str, block: int, ttl: str) -> str:
    kind = '{"type": "default", "ttl": "1h"}' if ttl == "1h" else '{"type": "default"}'
    point = f'{{"cachePoint": {kind}}}'
    if part in ("messages", "examples"):
        return f'{part}[{block}]["content"].append({point})'
    blocks = 'toolConfig["tools"]' if part == "tools" else part
    return f"{blocks}.append({point})" if block < 0 else f"{blocks}.insert({block + 1}, {point})"


def _openai(plan: Plan, part: str, block: int) -> str:
    lines = []
    if plan.static:
        lines.append(f"# on the last content part of {_ending(part, block)}:")
        lines.append('part["prompt_cache_breakpoint"] = {"mode": "explicit"}')
    mode = "implicit" if plan.own else "explicit"
    lines.append(f'prompt_cache_options = {{"mode": "{mode}", "ttl": "30m"}}')
    return "\n".join(lines)


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
    read_ratio: float | None  # simulated reads over billed ones, where both are known
    claim: Claim
    claimed_share: float  # of what the best prompts change: what the bill supports
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
        billed_read = int(read[trusted].sum()) if len(trusted) else None
        simulated_read = int(as_is.read[trusted].sum())
        claim = claim_of(billed_read, simulated_read, int(prompts.billed[trusted].sum()))
        found.append(
            TemplateFacts(
                template_id=group.template_id,
                endpoint=group.endpoint,
                provider=group.provider,
                model=group.model,
                rows=rows,
                input_tokens=int(prompts.billed[rows].sum()),
                static_tokens=int(static[rows].sum()),
                billed_read_tokens=billed_read,
                as_is_read_tokens=int(as_is.read[rows].sum()),
                read_ratio=simulated_read / billed_read if billed_read else None,
                claim=claim,
                claimed_share=_claimed_share(claim, billed_read or 0, simulated_read),
                best_markers=describe(plan, *where),
                snippet=snippet(plan, *where, rules),
                parts=shares[number],
                breakers=tuple(item for item in breakers if item.group == number),
            )
        )
    return tuple(found)


def _claimed_share(claim: Claim, billed: int, simulated: int) -> float:
    if claim == "none":
        return 0.0
    return 1.0 if claim == "simulated" else min(1.0, billed / max(simulated, 1))


def part_shares(
    prompts: Prompts, mended: Prompts, groups: Groups, parts: Parts
) -> tuple[tuple[PartShare, ...], ...]:
    """Split each template's tokens by part; parts that none of its prompts has are left out."""
    from costaudit.simulate.prefix.caches.share_kernels import segment_shares

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
