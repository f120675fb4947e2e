"""Plan the best way to send each template, and replay the traffic under other providers' rules."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.contracts.grades import RATES, Pricing
from costaudit.simulate.prefix.advice.markers import (
    Anchors,
    Best,
    Plan,
    Terms,
    best_markers,
    find_anchors,
    input_prices,
)
from costaudit.simulate.prefix.advice.policy_run import billed_classes, unconfirmed_of
from costaudit.simulate.prefix.breakers.mended import left_alone
from costaudit.simulate.prefix.caches.replay import READ, UNCACHED, Markers, replay
from costaudit.simulate.prefix.caches.static_share import Parts
from costaudit.simulate.prefix.rules.rules import assign_rules, named_rules, rules_date
from costaudit.simulate.prefix.tree.prompts import Groups, Prompts


@dataclass(frozen=True)
class Planned:
    """The prompts to send and their markers."""

    prompts: Prompts  # repaired if that pays, without the moved tokens
    markers: Markers
    plain_anchors: Anchors  # of the unrepaired prompts
    plain_markers: Markers  # the best markers for them
    plans: tuple[Plan, ...]  # per template
    static_part: tuple[str, ...]  # per template, see Anchors
    static_block: tuple[int, ...]


@dataclass(frozen=True)
class _Way:
    """One way to send all templates."""

    prompts: Prompts
    anchors: Anchors
    best: Best


def plan_prompts(prompts: Prompts, mended: Prompts, parts: Parts, terms: Terms) -> Planned:
    """Return the cheaper way to send each template: the prompts as they are, or repaired.

    Both get the best markers for them. Moved tokens are billed as uncached input.
    """

    groups = terms.groups

    def way(sent: Prompts) -> _Way:
        anchors = find_anchors(sent, groups, parts)
        best = best_markers(sent, terms, anchors, sent.sendable)
        return _Way(sent, anchors, best)

    plain = way(prompts)
    if np.array_equal(mended.segments.content, prompts.segments.content):  # nothing moves
        return _joined(plain, plain, parts, groups, np.zeros(len(groups.groups) + 1, np.bool_))
    other = way(mended)
    costs = [_costs(one, prompts, terms) for one in (plain, other)]
    pays = np.append(costs[1] < costs[0], False)  # the last entry: no template
    return _joined(plain, other, parts, groups, pays)


def _joined(
    plain: _Way, other: _Way, parts: Parts, groups: Groups, pays: NDArray[np.bool_]
) -> Planned:
    """Return the plan, with the other choice for the templates that `pays` names."""
    mine = pays[groups.index]
    theirs = np.repeat(mine, np.diff(plain.prompts.segments.offsets))
    markers = replace(
        plain.best.markers,
        code=np.where(theirs, other.best.markers.code, plain.best.markers.code),
        own=np.where(mine, other.best.markers.own, plain.best.markers.own),
    )
    ways = [other if pays[group] else plain for group in range(len(groups.groups))]
    return Planned(
        left_alone(plain.prompts, other.prompts, parts, ~mine) if mine.any() else plain.prompts,
        markers,
        plain.anchors,
        plain.best.markers,
        plans=tuple(way.best.plans[group] for group, way in enumerate(ways)),
        static_part=tuple(way.anchors.static_part[group] for group, way in enumerate(ways)),
        static_block=tuple(way.anchors.static_block[group] for group, way in enumerate(ways)),
    )


def _costs(way: _Way, sent: Prompts, terms: Terms) -> NDArray[np.float64]:
    """Return the cost of each template's input; `sent` are the complete prompts."""
    result = replay(way.prompts, terms.assigned, way.best.markers, sent.sendable)
    cost = terms.prices.cost(result.tokens)
    cost += (sent.billed - way.prompts.billed) * terms.prices.table[terms.prices.index, UNCACHED]
    return terms.sums(cost, result.chosen & (terms.groups.index >= 0))


COMPARED: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("openai", "OpenAI, GPT-5.6 and later", ("30m",)),
    ("openai_classic_24h", "OpenAI, GPT-5 to 5.4", ()),
    ("anthropic", "Anthropic, 5-minute writes", ("5m",)),
    ("anthropic", "Anthropic, 1-hour writes", ("1h",)),
    ("bedrock", "Amazon Bedrock, Claude, 5-minute writes", ("5m",)),
    ("gemini", "Google Gemini, implicit caching", ()),
    ("deepseek", "DeepSeek", ()),
)  # rule set, label, lifetimes that markers may request


@dataclass(frozen=True)
class ProviderFacts:
    """The traffic as billed under another provider's cache rules, with the best markers."""

    rules: str  # rule set name
    label: str
    sums: list[tuple[int | None, int, tuple[int, ...]]]  # tokens by the log's rate: Pricing.sums
    multipliers: dict[str, str]  # decimal multiples of the uncached input price: read, 5m, 1h, 30m
    input_tokens: int  # of the replayed requests
    read_tokens: int
    unconfirmed: tuple[str, ...]


def compare_providers(
    requests: pl.DataFrame,
    prompts: Prompts,
    anchors: Anchors,
    today: Terms,
    pricing: Pricing | None,
) -> tuple[ProviderFacts, ...]:
    """Replay the traffic under each rule set of COMPARED, with markers by its multipliers."""
    found, reach = [], prompts.sendable
    unknown = pl.Series([None], dtype=pl.Int32).new_from_index(0, len(requests))
    pricing = pricing or Pricing(pl.DataFrame(schema=RATES), unknown)
    for name, label, ttls in COMPARED:
        assigned = assign_rules(requests, prompts, name)
        terms = replace(today, assigned=assigned, prices=input_prices(assigned, None))
        best = best_markers(prompts, terms, anchors, reach, ttls)
        result = replay(prompts, assigned, best.markers, reach)
        rules = named_rules(name, "", rules_date())
        found.append(
            ProviderFacts(
                rules=name,
                label=label,
                sums=pricing.sums(billed_classes(requests, result, reach)),
                multipliers={"read": rules.read_mult, **dict(rules.write_mult)},
                input_tokens=int(prompts.billed[result.chosen].sum()),
                read_tokens=int(result.tokens[:, READ].sum()),
                unconfirmed=unconfirmed_of(assigned),
            )
        )
    return tuple(found)
