"""Everything about prompt caching that a log tells, in tokens; money is put on it elsewhere."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from costaudit.contracts.policies import PrefixPolicy
from costaudit.contracts.prefix import Agreement
from costaudit.contracts.rates import Pricing
from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.simulate.prefix.agreement import agreement_by_model, billed_read_share
from costaudit.simulate.prefix.anchors import find_anchors
from costaudit.simulate.prefix.assigned import assign_rules
from costaudit.simulate.prefix.best import input_prices
from costaudit.simulate.prefix.breakers import Evidence, find_breakers
from costaudit.simulate.prefix.calibration import Calibration, calibrate
from costaudit.simulate.prefix.compare import ProviderFacts, compare_providers
from costaudit.simulate.prefix.groups import group_requests
from costaudit.simulate.prefix.losses import find_losses
from costaudit.simulate.prefix.lost import Billing
from costaudit.simulate.prefix.markers import Markers, logged_markers
from costaudit.simulate.prefix.mended import mend, read_heads
from costaudit.simulate.prefix.notes import log_notes
from costaudit.simulate.prefix.plans import plan_prompts
from costaudit.simulate.prefix.prompts import Prompts, read_prompts
from costaudit.simulate.prefix.replay import replay
from costaudit.simulate.prefix.run import PrefixOutcome, outcome_of, unconfirmed_of
from costaudit.simulate.prefix.signs import Sign, find_signs
from costaudit.simulate.prefix.static import split_parts, static_tokens
from costaudit.simulate.prefix.template_facts import TemplateFacts, template_facts
from costaudit.simulate.segments import Ints
from costaudit.simulate.templates import system_templates


@dataclass(frozen=True)
class PrefixFacts:
    """Prompt caching over the whole log; frames are aligned with the requests."""

    template: Ints  # per request: index into `templates`; -1 where it can't be simulated
    static: Ints  # per request: tokens that it begins with as an earlier one did
    prompts: Prompts  # for further runs of simulate_prefix
    mended: Prompts  # where that pays, without the moving parts of the head and their tokens
    as_is: PrefixOutcome
    as_is_markers: Markers
    best_markers: Markers  # of the mended prompts
    input_tokens: int  # of simulated requests
    static_tokens: int
    billed_read_share: float | None
    templates: tuple[TemplateFacts, ...]  # most input first
    providers: tuple[ProviderFacts, ...]
    agreement: tuple[Agreement, ...]
    calibration: tuple[Calibration, ...]
    unconfirmed: tuple[str, ...]
    notes: tuple[str, ...]  # what the log lacks and what was assumed instead
    signs: tuple[Sign, ...]  # of trouble, in counters and errors


def prefix_facts(
    requests: pl.DataFrame,
    blocks: pl.DataFrame,
    pricing: Pricing | None = None,
    *,
    prompts: Prompts | None = None,
    skeletons: pl.Series | None = None,
    compare: bool = True,
) -> PrefixFacts:
    """Simulate what the application does, the best it could do, and other providers' rules.

    `skeletons` are the system templates of the requests, found here if not given.
    """
    prompts = prompts or read_prompts(requests, blocks)
    if skeletons is None:
        skeletons = system_templates(requests, blocks, prompts.segments)
    groups = group_requests(requests, prompts, skeletons)
    static, last_user = static_tokens(prompts, prompts.sendable)
    parts = split_parts(prompts, groups, static)
    assigned = assign_rules(requests, prompts)
    markers = logged_markers(requests, prompts, assigned)
    as_is = replay(prompts, assigned, markers, prompts.sendable)
    prices = input_prices(assigned, pricing)
    heads = read_heads(prompts, groups, parts)
    mended = mend(blocks, prompts, groups, parts, heads)
    losses = find_losses(requests, prompts, mended, assigned, markers, as_is, static)
    planned = plan_prompts(prompts, mended, groups, parts, assigned, markers, prices)
    billed = requests.select(pl.col(INPUT_CLASSES).fill_null(0)).to_numpy()
    breakers = find_breakers(
        Evidence(
            requests, blocks, prompts, groups, parts, heads, static, losses, markers, assigned,
            Billing.of(as_is.tokens, pricing), Billing.of(billed, pricing),
        )
    )  # fmt: skip
    everyone = np.ones(len(requests), np.bool_)
    simulated = outcome_of(requests, as_is, assigned, PrefixPolicy(), everyone)
    return PrefixFacts(
        template=groups.index,
        static=static,
        prompts=prompts,
        mended=planned.prompts,
        as_is=simulated,
        as_is_markers=markers,
        best_markers=planned.markers,
        input_tokens=int(prompts.billed[prompts.sendable].sum()),
        static_tokens=int(static[prompts.sendable].sum()),
        billed_read_share=billed_read_share(requests),
        templates=template_facts(
            requests, prompts, planned, groups, parts, static, assigned, as_is, breakers
        ),
        providers=compare_providers(
            requests, prompts, groups, find_anchors(prompts, groups, parts), markers,
            prompts.sendable,
        ) if compare else (),
        agreement=agreement_by_model(requests, simulated),
        calibration=calibrate(requests, prompts, static, last_user),
        unconfirmed=unconfirmed_of(assigned),
        notes=log_notes(requests, prompts, markers),
        signs=find_signs(requests, prompts, simulated),
    )  # fmt: skip
