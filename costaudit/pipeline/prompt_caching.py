"""Simulate providers' prompt caches on a log: what is read, what could be, what breaks it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

import numpy as np
import polars as pl

from costaudit.contracts.grades import Estimate, Grade, Money, Pricing, weakest
from costaudit.contracts.policies import PrefixPolicy
from costaudit.contracts.prefix import (
    Breaker,
    CapacityPoint,
    Claim,
    ExplicitCache,
    OtherTemplates,
    PrefixSection,
    ProviderRow,
    TemplateRow,
    parts_together,
)
from costaudit.contracts.requests import INPUT_CLASSES, SENT_TO_PROVIDER
from costaudit.contracts.run_dir import column, lean
from costaudit.costing.cost import breakdown, cost, per_request_usd
from costaudit.costing.tariff import lost_usd, under_multipliers
from costaudit.costing.traffic import Traffic
from costaudit.engine.pool import return_memory
from costaudit.pipeline.loaded import Loaded
from costaudit.simulate.prefix.advice.claims import claimed, session_agreement
from costaudit.simulate.prefix.advice.explicit_caches import ExplicitFacts
from costaudit.simulate.prefix.advice.facts import PrefixFacts, prefix_facts
from costaudit.simulate.prefix.advice.policy_run import Sent, narrow, simulate_prefix
from costaudit.simulate.prefix.advice.template_facts import TemplateFacts
from costaudit.simulate.prefix.breakers.breakers import BreakerFacts
from costaudit.simulate.prefix.caches.block_cache import capacity_curve, prompt_blocks, trace_blocks
from costaudit.simulate.prefix.tree.prompts import read_prompts

MOST_TEMPLATES = 1000  # listed one by one; the work of each grows with the whole log
_GRADE: Grade = "simulated"
_GRADES: dict[Claim, Grade] = {
    "simulated": "simulated", "estimated": "estimated", "none": "estimated",
}  # fmt: skip


class PromptCaches:
    """Simulates provider caches on any part of a log.

    Without `compare`, the section has no prices under other providers' rules. The prompts stay in
    memory until `release` is called.
    """

    def __init__(self, log: Loaded, *, show_prompts: bool = False, compare: bool = True) -> None:
        self._log, self._show = log, show_prompts
        found = prefix_facts(
            log.requests,
            log.blocks,
            log.tariff.billed,
            prompts=read_prompts(log.requests, log.blocks, log.laid_out),
            skeletons=log.templates,
            compare=compare,
        )
        self._facts: PrefixFacts | None = found
        self.template = found.template.astype(np.int32)  # per request: place in `names`, or -1
        self.names = tuple(one.template_id for one in found.templates)
        self._sent = log.requests.select(SENT_TO_PROVIDER).to_series().to_numpy()
        self._known: dict[tuple[bytes, bool], pl.DataFrame] = {}  # by requests and markers

    @property
    def facts(self) -> PrefixFacts:
        """What the simulation found, until it is released."""
        assert self._facts is not None, "the prompts were released"
        return self._facts

    def release(self, removed: Sequence[np.ndarray]) -> None:
        """Free the prompts, after simulating what may still be asked for.

        This is the section, and the bills of everything and without each of the masks of requests.
        """
        _ = self._section
        for one in (self._nobody, *removed):
            self.as_is(one)
            self.best(one)
        self._facts = None
        return_memory()

    def as_is(self, removed: np.ndarray) -> pl.DataFrame:
        """Return TOKEN_CLASSES of the remaining requests, as they are sent today."""
        return self._classes(removed, best=False)

    def best(self, removed: np.ndarray) -> pl.DataFrame:
        """Return TOKEN_CLASSES with the best markers, and moving parts behind the static ones.

        Moved parts are billed as uncached input. If the simulation differs from the bill, the
        change is limited to what the bill supports (see `claims`).
        """
        return self._classes(removed, best=True)

    def _classes(self, removed: np.ndarray, *, best: bool) -> pl.DataFrame:
        key = np.packbits(removed).tobytes(), best
        if key not in self._known:
            found = (
                self._best(removed)
                if best
                else self._simulate(PrefixPolicy(), removed, mended=False)
            )
            self._known[key] = lean(narrow(found))
        return self._known[key].cast(pl.Int64)

    @property
    def _nobody(self) -> np.ndarray:
        return np.zeros(len(self._sent), np.bool_)

    def _best(self, removed: np.ndarray) -> pl.DataFrame:
        best = self._simulate(PrefixPolicy(markers="best"), removed, mended=True)
        shares = [one.claimed_share for one in self.facts.templates]
        if min(shares, default=1.0) == 1.0:
            return best
        return claimed(self.as_is(removed), best, self.facts.template, shares)

    def section(self) -> PrefixSection:
        """Return the priced results; beyond MOST_TEMPLATES, templates are added up."""
        return self._section

    @cached_property
    def _section(self) -> PrefixSection:
        log, facts = self._log, self.facts
        whole = self._whole()
        before, after = (cost(one, log.tariff.billed) for one in (whole.as_is, whole.best))
        read = facts.billed_read_share
        static = facts.static_tokens / facts.input_tokens if facts.input_tokens else 0.0
        return PrefixSection(
            static_share=Estimate(static, _GRADE),
            billed_read_share=None if read is None else Estimate(read, "measured"),
            as_is=before,
            best=after,
            saving_month=self._month(whole.saved, self._grade),
            templates=tuple(self._template(one, whole) for one in facts.templates[:MOST_TEMPLATES]),
            other_templates=self._others(facts.templates[MOST_TEMPLATES:], whole.saved),
            providers=tuple(self._providers()),
            agreement=facts.agreement,
            unconfirmed=(*facts.unconfirmed, *facts.notes),
            session_agreement=session_agreement(
                log.requests,
                column(facts.as_is.classes, "cache_read_tokens"),
                facts.as_is.simulated,
            ),
            explicit_caches=tuple(
                sorted(
                    (self._explicit(one) for one in facts.explicit if one.group < MOST_TEMPLATES),
                    key=lambda row: -row.saving_month.usd,
                )
            ),
        )

    def _simulate(self, policy: PrefixPolicy, removed: np.ndarray, *, mended: bool) -> pl.DataFrame:
        log, facts = self._log, self.facts
        keep = self._sent & ~removed
        prompts = facts.mended if mended else facts.prompts
        outcome = simulate_prefix(
            log.requests,
            log.blocks,
            policy,
            log.tariff.billed,
            keep=keep,
            sent=Sent(
                prompts, facts.best_markers if policy.markers == "best" else facts.as_is_markers
            ),
        )
        if not mended:
            return outcome.classes
        moved = np.where(outcome.simulated, facts.prompts.billed - prompts.billed, 0)
        uncached = pl.col("input_uncached_tokens") + pl.Series(np.where(keep, moved, 0))
        return outcome.classes.with_columns(uncached)

    def _template(self, one: TemplateFacts, whole: "_Whole") -> TemplateRow:
        saved = np.zeros(len(whole.saved))
        saved[one.rows] = whole.saved[one.rows]
        total = max(one.input_tokens, 1)
        read = one.billed_read_tokens
        return TemplateRow(
            template_id=one.template_id,
            endpoint=one.endpoint,
            provider=one.provider,
            model=one.model,
            requests=len(one.rows),
            input_tokens=one.input_tokens,
            static_share=one.static_tokens / total,
            billed_read_share=None if read is None else read / total,
            as_is_read_share=one.as_is_read_tokens / total,
            best_read_share=int(column(whole.best, "cache_read_tokens")[one.rows].sum()) / total,
            best_markers=one.best_markers,
            snippet=one.snippet,
            saving_month=self._month(saved, _GRADES[one.claim]),
            parts=one.parts,
            breakers=tuple(
                self._breaker(fact, one)
                for fact in one.breakers
                if one.claim == "simulated" or fact.kind != "provider"
            ),
            read_ratio=one.read_ratio,
            claim=one.claim,
        )

    def _others(self, rest: tuple[TemplateFacts, ...], saved: np.ndarray) -> OtherTemplates | None:
        if not rest:
            return None
        saved = np.where(self.template >= MOST_TEMPLATES, saved, 0.0)
        return OtherTemplates(
            templates=len(rest),
            requests=sum(len(one.rows) for one in rest),
            input_tokens=sum(one.input_tokens for one in rest),
            saving_month=self._month(saved, weakest([_GRADES[one.claim] for one in rest])),
            parts=parts_together(one.parts for one in rest),
        )

    @property
    def _grade(self) -> Grade:
        """Return the weakest grade of all templates."""
        return weakest([_GRADE, *(_GRADES[one.claim] for one in self.facts.templates)])

    def _breaker(self, fact: BreakerFacts, template: TemplateFacts) -> Breaker:
        usd = lost_usd(fact.saved, self._log.tariff.billed) * Decimal(str(template.claimed_share))
        spread = np.zeros(len(self._log.requests))  # by day, like the template's own spend
        spread[template.rows] = self._log.sent_usd[template.rows]
        if not spread.any():
            spread[template.rows] = 1.0
        lost = spread * (float(usd) / spread.sum())
        return Breaker(
            kind=fact.kind,
            where=fact.where,
            context=fact.context if self._show else fact.redacted,
            requests=fact.requests,
            lost_tokens=fact.lost_tokens,
            lost_usd_month=self._month(lost, _GRADES[template.claim]),
            mend=fact.mend,
            provider_side=fact.provider_side,
        )

    def _providers(self) -> Iterable[ProviderRow]:
        """Yield the traffic's price under other cache rules, each model at its own input price."""
        for one in self.facts.providers:
            elsewhere = under_multipliers(self._log.tariff.billed, one.multipliers)
            yield ProviderRow(
                rules=one.rules,
                label=one.label,
                cost=breakdown(one.sums, elsewhere.rates_by_id),
                read_share=one.read_tokens / max(one.input_tokens, 1),
                unconfirmed=one.unconfirmed,
            )

    def _explicit(self, one: ExplicitFacts) -> ExplicitCache:
        """Price a template's explicit caches beside what its requests were billed."""
        log, template = self._log, self.facts.templates[one.group]
        billed = log.tariff.billed
        pricing = Pricing(billed.rates, billed.rate_ids[one.rows])
        before = log.tariff.classes[one.rows]
        sent = before.select(pl.sum_horizontal(pl.col(INPUT_CLASSES).fill_null(0))).to_series()
        nothing = {name: pl.lit(0, pl.Int64) for name in INPUT_CLASSES}
        after = before.with_columns(**nothing).with_columns(
            input_uncached_tokens=sent - pl.Series(one.cached * ~one.created),
            cache_read_tokens=pl.Series(one.cached),
        )
        before_usd, after_usd = (cost(each, pricing).total_usd for each in (before, after))
        saved = np.zeros(len(log.requests))
        saved[one.rows] = np.nan_to_num(
            per_request_usd(before, pricing) - per_request_usd(after, pricing) - one.storage_usd
        )
        storage_usd = Decimal(f"{one.storage_usd.sum():.8f}")
        return ExplicitCache(
            template_id=template.template_id,
            endpoint=template.endpoint,
            model=template.model,
            requests=len(one.rows),
            lifetime=one.lifetime,
            creations=int(one.created.sum()),
            cached_tokens=int(one.cached.sum()),
            token_hours=float(one.token_hours.sum()),
            storage_usd=storage_usd,
            before_usd=before_usd,
            after_usd=after_usd + storage_usd,
            saving_month=self._month(saved, _GRADE),
            snippet=one.snippet,
        )

    def _whole(self) -> "_Whole":
        """Return the whole log's simulation, and what it saves, as in the ledger."""
        as_is, best = self.as_is(self._nobody), self.best(self._nobody)
        after = Traffic.logged(self._log.tariff).simulated(as_is, pl.Series(self._nobody), best)
        saved = self._log.sent_usd - after.request_usd()
        return _Whole(as_is, best, np.asarray(saved, np.float64))

    def _month(self, by_request: np.ndarray, grade: Grade) -> Money:
        return self._log.month.money(by_request, grade)


@dataclass(frozen=True)
class _Whole:
    """What is simulated of the whole log; as long as the requests."""

    as_is: pl.DataFrame  # TOKEN_CLASSES
    best: pl.DataFrame
    saved: np.ndarray  # float64, USD that the best caching saves of each request's bill


def self_hosted_curve(
    log: Loaded, block_tokens: int, capacities: tuple[int, ...] | None
) -> tuple[CapacityPoint, ...]:
    """Return what a self-hosted server would have reused, by the size of its block cache."""
    prompts = read_prompts(log.requests, log.blocks, log.laid_out)
    hashes_only = log.blocks["text"].null_count() == len(log.blocks)
    trace = trace_blocks if hashes_only else prompt_blocks
    return capacity_curve(trace(prompts, block_tokens), capacities)
