"""Find where prompts leave their template's static prefix, the loss, and the repair."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from costaudit.contracts.prefix import BreakerKind
from costaudit.simulate.prefix.breakers.divergence import Site, locate_breaks
from costaudit.simulate.prefix.breakers.losses import Billing, Losses, Today, only
from costaudit.simulate.prefix.breakers.mended import Mender
from costaudit.simulate.prefix.caches.replay import READ, UNCACHED
from costaudit.simulate.segments import Whole, any_in

MENDS: dict[BreakerKind, str] = {
    "timestamp": "Move the time to the end of the last user message, or round it to the day.",
    "date": "Move the date to the end of the last user message.",
    "uuid": "Take the identifier out of the prompt, or move it to the end of the last message.",
    "user": "Move what names the user behind the shared instructions, into the first message.",
    "counter": "Move the number to the end of the last user message.",
    "documents": "Move retrieved text from here into the last user message.",
    "environment": "Move working directory, branch and listings into the first user message.",
    "whitespace": "Build this text by one code path, so that its white space is always the same.",
    "json_key_order": "Serialise with sorted keys.",
    "tool_order": "Sort the tools by name before sending them.",
    "tool_set": "Send the same tools every time and restrict them by tool_choice or allowed tools.",
    "tool_changed": "Keep dates, counts and lists out of tool descriptions.",
    "image": "Send images behind the static text, with the same bytes and detail every time.",
    "text": "Move the part that changes behind the parts that stay the same.",
    "variant": "Settle on one text, or move what differs behind the parts that stay the same.",
    "order": "Put the static parts first, always in the same order.",
    "parallel": "Send one request, wait for its first token, then send the others.",
    "ttl_gap": "Ask for the longer lifetime that the provider offers.",
    "lifetime": "None: the provider offers no longer lifetime for this model.",
    "below_minimum": "Lengthen the shared prefix to the model's minimum where that pays.",
    "no_markers": "Mark the end of the static prefix for caching.",
    "marker_placement": "Set the marker at the end of what stays the same.",
    "implicit_breakpoint": "Set an explicit breakpoint after the static part.",
    "lookback": "Set a second marker no more than 15 blocks behind the last one.",
    "history_rewritten": "Append to the history; shorten it seldom, and by much at once.",
    "tool_choice": "Keep tool_choice the same in all calls, and steer by allowed tools or words.",
    "thinking": "Keep the thinking or effort setting the same within a conversation.",
    "response_format": "Send the same output format in all calls of this template.",
    "explicit_mode": "Set mode implicit, or a breakpoint at the end of the static part.",
    "thinking_stripped": "Send earlier thinking blocks back unchanged.",
    "model_switch": "Stay with one model within a conversation.",
    "region_switch": "Pin a conversation to one region, deployment and account.",
    "write_only": "Do not mark prefixes that no later request repeats within their lifetime.",
    "provider": "None: the provider evicted the entry early or routed the request elsewhere.",
}
PROVIDER_SIDE: frozenset[BreakerKind] = frozenset({"lifetime", "provider"})


MIN_LOST_SHARE = 0.001
NOWHERE = -2  # depth of a cause that is no text of the prompt


@dataclass(frozen=True)
class BreakerFacts:
    """One cause of lost reads in one template, in tokens."""

    group: int  # index of the template
    kind: BreakerKind
    where: str  # part and position, such as system, character 212 of 8,410
    context: str  # the breaking text in context, with the moving part in ‹ ›; may be ""
    redacted: str  # the context without the text
    requests: int
    lost_tokens: int
    lost: pl.DataFrame  # LOST
    saved: pl.DataFrame  # LOST: the effect of its repair, once simulated
    mend: str
    provider_side: bool
    depth: int  # of the segment that changes, from 0; see Site


@dataclass(frozen=True)
class Evidence:
    """The input for finding breakers."""

    requests: pl.DataFrame
    source: Mender
    today: Today
    losses: Losses
    simulated: Billing  # classes of the as-is simulation
    billed: Billing  # classes of the log


def find_breakers(evidence: Evidence) -> tuple[BreakerFacts, ...]:
    """Return the causes by template, the largest loss first.

    Causes that lose less than MIN_LOST_SHARE of a template's input are left out.
    """
    template = evidence.today.groups.index
    chosen = template >= 0
    size = np.bincount(template[chosen], weights=evidence.today.prompts.billed[chosen])
    found = [
        item
        for item in _content_breakers(evidence) + _rule_breakers(evidence)
        if item.lost_tokens >= MIN_LOST_SHARE * size[item.group]
    ]
    return tuple(
        sorted(found, key=lambda item: (item.group, -item.lost_tokens, item.kind, item.where))
    )


def _content_breakers(evidence: Evidence) -> list[BreakerFacts]:
    lost = evidence.losses.moved
    rows = np.flatnonzero((lost > 0) & ~evidence.today.prompts.cut)
    sites = locate_breaks(
        evidence.requests, evidence.source, evidence.losses.live.astype(np.int64), rows
    )
    return [_facts(evidence, site, site.requests, lost, evidence.simulated) for site in sites]


def _rule_breakers(evidence: Evidence) -> list[BreakerFacts]:
    found = []
    for kind, lost in _rule_losses(evidence):
        billing = evidence.billed if kind == "provider" else evidence.simulated
        for group, rows in enumerate(evidence.today.groups.rows if lost.any() else ()):
            losing = rows[lost[rows] > 0]
            if len(losing):
                site = Site(group, kind, _WHERE[kind], "", "", losing, NOWHERE)
                found.append(_facts(evidence, site, losing, lost, billing))
    return found


def _rule_losses(evidence: Evidence) -> Iterator[tuple[BreakerKind, Whole]]:
    """Yield the loss of each request by cause, one cause after the other."""
    losses, assigned = evidence.losses, evidence.today.assigned
    marked = any_in(evidence.today.markers.code > 0, evidence.today.prompts.segments.offsets)
    implicit = assigned.is_marked("implicit")
    switched_off = implicit & ~marked & (evidence.today.markers.own < 0)
    charged = assigned.each(lambda rules: any(float(mult) > 1 for _, mult in rules.write_mult))
    yield "parallel", losses.parallel
    yield "ttl_gap", losses.expired
    yield "lifetime", losses.outlived
    yield "below_minimum", losses.short
    yield "explicit_mode", only(losses.unmarked, switched_off)
    yield "implicit_breakpoint", only(losses.unmarked, implicit & ~switched_off)
    yield "marker_placement", only(losses.unmarked, ~implicit & marked)
    yield "no_markers", only(losses.unmarked, ~implicit & ~marked)
    yield "lookback", losses.lookback
    yield from losses.settings.items()
    yield "history_rewritten", losses.rewritten
    yield "thinking_stripped", losses.thinking
    yield "model_switch", losses.model_switch
    yield "region_switch", losses.region_switch
    yield "write_only", only(losses.write_only, charged.astype(np.bool_))
    yield "provider", losses.provider


_WHERE: dict[BreakerKind, str] = {
    "parallel": "requests that start before the first answer to their prefix does",
    "ttl_gap": "requests after a pause longer than the entry lives",
    "lifetime": "requests after a pause longer than any entry of this provider lives",
    "below_minimum": "shared prefixes below the model's minimum",
    "implicit_breakpoint": "the provider's own breakpoint is after text that changes",
    "marker_placement": "no marker is where the shared prefix ends",
    "no_markers": "requests without a marker",
    "lookback": "more blocks since the last marker than are searched",
    "history_rewritten": "a message of the history differs from the turn before",
    "thinking_stripped": "thinking blocks of earlier turns are left out",
    "tool_choice": "settings: tool_choice differs from the call before",
    "thinking": "settings: thinking or effort differs from the call before",
    "response_format": "settings: the output format differs from the call before",
    "explicit_mode": "cache options: mode explicit, and no breakpoint is set",
    "region_switch": "the conversation went on in another region or account",
    "model_switch": "the conversation went on with another model",
    "write_only": "prefixes that were written and never read",
    "provider": "entries that should have been there",
}


def _facts(
    evidence: Evidence, site: Site, rows: Whole, lost: Whole, billing: Billing
) -> BreakerFacts:
    instead = UNCACHED if site.kind == "write_only" else READ
    frame = billing.lost(rows, lost[rows], instead)
    return BreakerFacts(
        group=site.group,
        kind=site.kind,
        where=site.where,
        context=site.context,
        redacted=site.redacted,
        requests=len(rows),
        lost_tokens=int(lost[rows].sum()),
        lost=frame,
        saved=frame,
        mend=MENDS[site.kind],
        provider_side=site.kind in PROVIDER_SIDE,
        depth=site.depth,
    )
