"""How each template would be sent best: as it is or mended, and with which markers."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from costaudit.simulate.prefix.anchors import Anchors, find_anchors
from costaudit.simulate.prefix.assigned import Assigned
from costaudit.simulate.prefix.best import Best, Plan, best_markers
from costaudit.simulate.prefix.groups import Groups
from costaudit.simulate.prefix.markers import Markers
from costaudit.simulate.prefix.mended import left_alone
from costaudit.simulate.prefix.prompts import Prompts
from costaudit.simulate.prefix.replay import UNCACHED, replay
from costaudit.simulate.prefix.static import Parts


@dataclass(frozen=True)
class Planned:
    """The prompts to send and their markers."""

    prompts: Prompts  # mended where that pays, without the tokens that were moved behind
    markers: Markers
    plans: tuple[Plan, ...]  # per template
    static_part: tuple[str, ...]  # per template, see Anchors
    static_block: tuple[int, ...]


@dataclass(frozen=True)
class _Way:
    """One way to send all templates."""

    prompts: Prompts
    anchors: Anchors
    best: Best


def plan_prompts(
    prompts: Prompts,
    mended: Prompts,
    groups: Groups,
    parts: Parts,
    assigned: Assigned,
    as_is: Markers,
    prices: NDArray[np.float64],
) -> Planned:
    """Choose for each template what costs less: the prompts as they are, or mended.

    Both get the markers that are best for them. Moved tokens are paid as uncached input.
    """

    def way(sent: Prompts) -> _Way:
        anchors = find_anchors(sent, groups, parts)
        best = best_markers(sent, assigned, groups, anchors, as_is, prices, sent.sendable)
        return _Way(sent, anchors, best)

    plain = way(prompts)
    if np.array_equal(mended.segments.content, prompts.segments.content):  # nothing moves
        return _joined(plain, plain, parts, groups, np.zeros(len(groups.groups) + 1, np.bool_))
    other = way(mended)
    costs = [_costs(one, prompts, groups, assigned, prices) for one in (plain, other)]
    pays = np.append(costs[1] < costs[0], False)  # the last: of no template
    return _joined(plain, other, parts, groups, pays)


def _joined(
    plain: _Way, other: _Way, parts: Parts, groups: Groups, pays: NDArray[np.bool_]
) -> Planned:
    """Send the templates that `pays` names the other way."""
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
        plans=tuple(way.best.plans[group] for group, way in enumerate(ways)),
        static_part=tuple(way.anchors.static_part[group] for group, way in enumerate(ways)),
        static_block=tuple(way.anchors.static_block[group] for group, way in enumerate(ways)),
    )


def _costs(
    way: _Way, sent: Prompts, groups: Groups, assigned: Assigned, prices: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Add up what each template's input would cost; `sent` are the prompts whole."""
    result = replay(way.prompts, assigned, way.best.markers, sent.sendable)
    cost = np.einsum("ij,ij->i", result.tokens, prices)
    cost += (sent.billed - way.prompts.billed) * prices[:, UNCACHED]
    mine = result.chosen & (groups.index >= 0)
    sums = np.bincount(groups.index[mine], weights=cost[mine], minlength=len(groups.groups))
    return sums.astype(np.float64)
