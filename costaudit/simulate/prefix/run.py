"""What one prompt-caching policy would have billed for each request."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.contracts.outcomes import OUTCOMES
from costaudit.contracts.policies import PrefixPolicy
from costaudit.contracts.rates import Pricing
from costaudit.contracts.requests import INPUT_CLASSES, TOKEN_CLASSES
from costaudit.simulate.prefix.anchors import find_anchors
from costaudit.simulate.prefix.assigned import Assigned, assign_rules
from costaudit.simulate.prefix.best import best_markers, input_prices
from costaudit.simulate.prefix.groups import group_requests
from costaudit.simulate.prefix.markers import Markers, logged_markers, with_ttl
from costaudit.simulate.prefix.prompts import Prompts, read_prompts
from costaudit.simulate.prefix.replay import Replay, replay
from costaudit.simulate.prefix.static import split_parts, static_tokens
from costaudit.simulate.templates import system_templates


@dataclass(frozen=True)
class PrefixOutcome:
    """Token classes of every request under one policy."""

    policy_id: str
    classes: pl.DataFrame  # TOKEN_CLASSES, aligned with the requests; 0 where not kept
    simulated: NDArray[np.bool_]  # the others keep their billed classes, or were not kept
    matched: NDArray[np.int64]  # request that wrote or last used what was read; -1 for none
    unconfirmed: tuple[str, ...]  # assumptions of the rules in use that no vendor confirms

    def to_outcomes(self, requests: pl.DataFrame) -> pl.DataFrame:
        """Write OUTCOMES: a hit read a prefix that the matched request had left in the cache."""
        hit = self.simulated & (self.matched >= 0)
        ids = requests["request_id"]
        frame = requests.select("request_id", "latency_ms").with_columns(
            self.classes,
            policy_id=pl.lit(self.policy_id),
            result=pl.Series(np.where(hit, "hit", np.where(self.simulated, "miss", "bypass"))),
            reason=pl.Series(np.where(hit, "prefix", np.where(self.simulated, "", "not-sent"))),
            matched_id=ids.gather(np.maximum(self.matched, 0)),
            similarity=pl.lit(None, dtype=pl.Float32),
            right=pl.lit(None, dtype=pl.Boolean),
        )
        matched = pl.when(pl.Series(hit)).then(pl.col("matched_id"))
        return frame.with_columns(matched_id=matched).select(OUTCOMES.names()).cast(OUTCOMES)


def simulate_prefix(
    requests: pl.DataFrame,
    blocks: pl.DataFrame,
    policy: PrefixPolicy,
    pricing: Pricing | None = None,
    keep: NDArray[np.bool_] | None = None,
    markers: Markers | None = None,
    prompts: Prompts | None = None,
) -> PrefixOutcome:
    """Bill the requests by a policy's cache rules, in order of time.

    `keep` masks the requests that reach the provider; the caches never see the others. Requests
    that can't be replayed (no prompt in the log, failed, not a chat) keep their billed classes.
    `pricing` lets markers be chosen by dollars instead of by the rules' price multipliers.
    `prompts` saves reading them again.
    """
    prompts = prompts or read_prompts(requests, blocks)
    reach = np.ones(len(requests), np.bool_) if keep is None else keep
    assigned = assign_rules(requests, prompts, policy.rules)
    if markers is None:
        markers = _policy_markers(requests, blocks, prompts, assigned, policy, pricing, reach)
    return outcome_of(requests, replay(prompts, assigned, markers, reach), assigned, policy, reach)


def outcome_of(
    requests: pl.DataFrame,
    result: Replay,
    assigned: Assigned,
    policy: PrefixPolicy,
    reach: NDArray[np.bool_],
) -> PrefixOutcome:
    """Put a replay into words of the hall."""
    return PrefixOutcome(
        policy.policy_id,
        billed_classes(requests, result, reach),
        result.chosen,
        result.matched,
        unconfirmed_of(assigned),
    )


def _policy_markers(
    requests: pl.DataFrame,
    blocks: pl.DataFrame,
    prompts: Prompts,
    assigned: Assigned,
    policy: PrefixPolicy,
    pricing: Pricing | None,
    reach: NDArray[np.bool_],
) -> Markers:
    """Place the markers that a policy asks for."""
    markers = logged_markers(requests, prompts, assigned)
    ttls = None if policy.ttl == "as_is" else (policy.ttl,)
    if policy.markers == "as_is":
        return markers if policy.ttl == "as_is" else with_ttl(markers, policy.ttl)
    groups = group_requests(requests, prompts, system_templates(requests, blocks, prompts.segments))
    static, _ = static_tokens(prompts, prompts.sendable)
    anchors = find_anchors(prompts, groups, split_parts(prompts, groups, static))
    prices = input_prices(assigned, pricing)
    return best_markers(prompts, assigned, groups, anchors, markers, prices, reach, ttls).markers


def billed_classes(
    requests: pl.DataFrame, result: Replay, reach: NDArray[np.bool_]
) -> pl.DataFrame:
    """Put the replayed classes beside the billed ones of requests that were not replayed."""
    logged = requests.select(pl.col(TOKEN_CLASSES).fill_null(0))
    columns = {
        name: np.where(result.chosen, result.tokens[:, place], logged[name].to_numpy())
        for place, name in enumerate(INPUT_CLASSES)
    }
    columns["output_tokens"] = logged["output_tokens"].to_numpy()
    return pl.DataFrame({name: np.where(reach, values, 0) for name, values in columns.items()})


def unconfirmed_of(assigned: Assigned) -> tuple[str, ...]:
    """List what the rules in use assume without a vendor's word."""
    return tuple(sorted({line for rules in assigned.used() for line in rules.unconfirmed}))
