"""Simulate each request's bill under one policy, and compare it with the log's bill."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.contracts.grades import Pricing
from costaudit.contracts.policies import PrefixPolicy
from costaudit.contracts.prefix import Agreement
from costaudit.contracts.requests import INPUT_CLASSES, OUTCOMES, READS_COUNTED, TOKEN_CLASSES
from costaudit.contracts.run_dir import column
from costaudit.simulate.prefix.advice.markers import Terms, best_markers, find_anchors, input_prices
from costaudit.simulate.prefix.caches.replay import (
    Markers,
    Replay,
    logged_markers,
    replay,
    with_ttl,
)
from costaudit.simulate.prefix.caches.static_share import split_parts, static_tokens
from costaudit.simulate.prefix.rules.rules import Assigned, assign_rules
from costaudit.simulate.prefix.tree.prompts import Prompts, group_requests, read_prompts
from costaudit.simulate.segments import Small
from costaudit.simulate.templates import system_templates


@dataclass(frozen=True)
class PrefixOutcome:
    """Token classes of every request under one policy."""

    policy_id: str
    classes: pl.DataFrame  # TOKEN_CLASSES, aligned with the requests; 0 if not kept
    simulated: NDArray[np.bool_]  # False: billed classes, or not kept
    matched: Small  # request that wrote or last used what was read; -1 for none
    unconfirmed: tuple[str, ...]  # assumptions that no vendor confirms

    def to_outcomes(self, requests: pl.DataFrame) -> pl.DataFrame:
        """Return OUTCOMES: a hit read a prefix that the matched request left in the cache."""
        hit = self.simulated & (self.matched >= 0)
        ids = column(requests, "request_id")
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


@dataclass(frozen=True)
class Sent:
    """The prompts as they are sent, and their markers."""

    prompts: Prompts
    markers: Markers | None = None  # None: the policy's own


def simulate_prefix(
    requests: pl.DataFrame,
    blocks: pl.DataFrame,
    policy: PrefixPolicy,
    pricing: Pricing | None = None,
    keep: NDArray[np.bool_] | None = None,
    sent: Sent | None = None,
) -> PrefixOutcome:
    """Return the bill of requests under a policy's cache rules, in order of time.

    `keep` masks the requests that reach the provider; the caches never see the others. Requests
    that can't be replayed (no prompt in the log, failed, not a chat) keep their billed classes.
    With `pricing`, markers are chosen by dollars instead of by the rules' price multipliers. `sent`
    are the prompts, if they were read before.
    """
    sent = sent or Sent(read_prompts(requests, blocks))
    prompts, markers = sent.prompts, sent.markers
    reach = np.ones(len(requests), np.bool_) if keep is None else keep
    assigned = assign_rules(requests, prompts, policy.rules)
    if markers is None:
        markers = _logged(requests, prompts, assigned)
        if policy.markers == "best":
            groups = group_requests(requests, prompts, system_templates(requests, blocks))
            terms = Terms(assigned, groups, input_prices(assigned, pricing), markers)
            markers = _best(prompts, terms, policy, reach)
        elif policy.ttl != "as_is":
            markers = with_ttl(markers, policy.ttl)
    return outcome_of(requests, replay(prompts, assigned, markers, reach), assigned, policy, reach)


def outcome_of(
    requests: pl.DataFrame,
    result: Replay,
    assigned: Assigned,
    policy: PrefixPolicy,
    reach: NDArray[np.bool_],
) -> PrefixOutcome:
    """Return a replay's result as a PrefixOutcome."""
    return PrefixOutcome(
        policy.policy_id,
        billed_classes(requests, result, reach),
        result.chosen,
        result.matched,
        unconfirmed_of(assigned),
    )


def _logged(requests: pl.DataFrame, prompts: Prompts, assigned: Assigned) -> Markers:
    """Return the markers that the application sets."""
    routes = pl.struct("endpoint", "provider", "model").rank("dense")
    return logged_markers(
        requests, prompts, assigned, requests.select(routes).to_series().to_numpy()
    )


def _best(
    prompts: Prompts, terms: Terms, policy: PrefixPolicy, reach: NDArray[np.bool_]
) -> Markers:
    """Return the markers that cost least, with the lifetimes that a policy allows."""
    static, _ = static_tokens(prompts, prompts.sendable)
    anchors = find_anchors(prompts, terms.groups, split_parts(prompts, terms.groups, static))
    ttls = None if policy.ttl == "as_is" else (policy.ttl,)
    return best_markers(prompts, terms, anchors, reach, ttls).markers


def billed_classes(
    requests: pl.DataFrame, result: Replay, reach: NDArray[np.bool_]
) -> pl.DataFrame:
    """Return the replayed classes; requests that were not replayed keep their billed classes."""
    logged = requests.select(pl.col(TOKEN_CLASSES).fill_null(0))
    frame = pl.DataFrame({"kept": reach})
    nothing = pl.lit(0, pl.Int64)  # takes no memory
    for place, name in enumerate(INPUT_CLASSES):
        values = np.where(result.chosen, result.tokens[:, place], column(logged, name).to_numpy())
        values = np.where(reach, values, 0)
        counts: pl.Expr | pl.Series = pl.Series(values) if values.any() else nothing
        frame = frame.with_columns(counts.alias(name))
    output = logged["output_tokens"]
    if not reach.all():
        output = pl.Series(np.where(reach, output.to_numpy(), 0))
    return frame.with_columns(output.alias("output_tokens")).select(TOKEN_CLASSES)


def narrow(classes: pl.DataFrame) -> pl.DataFrame:
    """Return token classes in the smallest integers that hold them: many are kept."""
    return pl.DataFrame([one.shrink_dtype() for one in classes.iter_columns()])


def unconfirmed_of(assigned: Assigned) -> tuple[str, ...]:
    """Return the assumptions of the used rules that no vendor confirms."""
    return tuple(sorted({line for rules in assigned.used() for line in rules.unconfirmed}))


CLOSE_SHARE = 0.05  # share of the input by which reads of an agreeing request may differ


def agreement_by_model(requests: pl.DataFrame, as_is: PrefixOutcome) -> tuple[Agreement, ...]:
    """Return how well the as-is simulation agrees with the provider's counters, by model.

    Only requests with a provider's or gateway's count of cache reads are compared.
    """
    rows = requests.select(
        pl.col("provider").fill_null(""),
        pl.col("model").fill_null(""),
        billed=pl.col("cache_read_tokens").fill_null(0),
        trusted=READS_COUNTED,
    ).with_columns(
        simulated=column(as_is.classes, "cache_read_tokens"),
        size=as_is.classes.drop("output_tokens").sum_horizontal(),
        chosen=pl.Series(as_is.simulated),
    )
    rows = rows.filter("chosen", "trusted").with_columns(
        close=(pl.col("simulated") - pl.col("billed")).abs() <= CLOSE_SHARE * pl.col("size")
    )
    models = rows.group_by("provider", "model").agg(
        requests=pl.len(),
        billed=pl.col("billed").sum(),
        simulated=pl.col("simulated").sum(),
        close=pl.col("close").mean(),
    )
    return tuple(
        Agreement(
            provider=row["provider"],
            model=row["model"],
            requests=row["requests"],
            billed_read_tokens=row["billed"],
            simulated_read_tokens=row["simulated"],
            ratio=row["simulated"] / row["billed"] if row["billed"] else None,
            within_5_percent_share=row["close"],
        )
        for row in models.sort("provider", "model").iter_rows(named=True)
    )


def billed_read_share(requests: pl.DataFrame) -> float | None:
    """Return the billed share of reads in all input; None if no row has counters."""
    counted = requests.select(INPUT_CLASSES, counts=READS_COUNTED).filter("counts")
    total = counted.select(pl.sum_horizontal("input_uncached_tokens", "^cache_.*_tokens$").sum())
    whole = total.item() or 0
    read = counted["cache_read_tokens"].sum()
    return float(np.float64(read) / whole) if whole else None
