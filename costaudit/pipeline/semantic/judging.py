"""`judge` as a library call: correct the cheap comparison of all hits by a few verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import numpy as np

from costaudit.answers.judge.ask import (
    Budget,
    Controls,
    JudgeRates,
    JudgeRun,
    Quote,
    Sample,
    control_pairs,
    quote,
    run_judge,
    sample_pairs,
)
from costaudit.answers.judge.judge import Judge, JudgeItem, Priced, judge_at
from costaudit.answers.judge.local import PairModel
from costaudit.answers.judge.misses import missed_details
from costaudit.answers.judge.ppi import PERFECT, JudgeError, agreement, corrected_share, judge_error
from costaudit.answers.judge.verdicts import VerdictStore, read_form, write_form
from costaudit.answers.mixture.mixture import Missed
from costaudit.answers.rates import rates
from costaudit.contracts.grades import Estimate
from costaudit.contracts.run_dir import RunDir, check_writable
from costaudit.contracts.semantic import JudgeOpinion, Misses
from costaudit.costing.cost import per_request_usd
from costaudit.costing.prices.lookup import price_of
from costaudit.errors import InsufficientDataError, UsageError
from costaudit.pipeline.semantic.store import write_misses
from costaudit.pipeline.semantic.text_run import SemanticRun
from costaudit.progress import Progress

_CONTEXT = (0.7, 0.8, 0.9)  # thresholds whose hits help to separate right and wrong answers
_REPLICATES = 20  # of the bootstrap; few, as its spread is not used
_FEWEST = 10  # minimum number of verdicts for an estimate
_CONTROL_SHARE = 0.1  # control pairs of each kind (whose truth is known), as a share of the sample


@dataclass(frozen=True)
class Docket:
    """The hits of one threshold, and the pairs drawn from them."""

    min_similarity: float
    requests: int  # all requests of the log
    hits: int
    probability: np.ndarray  # float64 (hits,): of a right hit, by the cheap comparison
    kinds: np.ndarray  # float64 (3, hits): see `missed_details`
    sample: Sample
    controls: Controls
    items: tuple[JudgeItem, ...]  # of the sample, then control pairs


def docket_of(run: SemanticRun, min_similarity: float, size: int) -> Docket:
    """Draw `size` hits at a threshold, and control pairs."""
    policies = [replace(run.options.policy, min_similarity=t) for t in (min_similarity, *_CONTEXT)]
    served = run.swept(policies).served  # earlier verdicts must not count twice
    rated = rates(run.check, served, run.counted, replicates=_REPLICATES, seed=run.options.seed)
    rows = rated.pairs.row[0][rated.pairs.row[0] >= 0]
    if not len(rows):
        raise InsufficientDataError(
            f"At a similarity of {min_similarity:.2f}, there is no hit to judge.",
            hint="Choose a lower --threshold.",
        )
    asked, matched = rated.pairs.asked[rows], rated.pairs.matched[rows]
    usd = np.nan_to_num(per_request_usd(run.log.tariff.classes, run.log.tariff.billed))
    sample = sample_pairs(
        rated.probability[rows],
        run.check.log.question_similarity(asked, matched),
        usd[asked],
        threshold=min_similarity,
        size=size,
        seed=run.options.seed,
    )
    controls = control_pairs(run.check, max(int(size * _CONTROL_SHARE), 1), run.options.seed)
    pairs = [
        *zip(asked[sample.rows], matched[sample.rows], strict=True),
        *zip(controls.asked, controls.matched, strict=True),
    ]
    return Docket(
        min_similarity=min_similarity,
        requests=len(run.log.requests),
        hits=len(rows),
        probability=rated.probability[rows],
        kinds=rated.fitted.model.kinds(rated.place[rows]),
        sample=sample,
        controls=controls,
        items=tuple(_item(run, int(one), int(other)) for one, other in pairs),
    )


def form_of(judge: str) -> Path | None:
    """Return the form's path if people judge (human:FILE); else None."""
    kind, _, form = judge.partition(":")
    return Path(form) if kind == "human" else None


def check_form(form: Path) -> None:
    """Raise an error for a form that can be neither read nor written."""
    if form.exists():
        read_form(form)
    else:
        check_writable(form)


@dataclass(frozen=True)
class PricedJudge:
    """A model judge and its price."""

    judge: Judge
    rates: JudgeRates


def priced_judge(judge: str, prices: Path | None, at: datetime) -> PricedJudge:
    """Return a model judge; raises an error for an invalid name, package, key or price."""
    kind, _, model = judge.partition(":")
    made: Judge = PairModel(model) if kind == "nli" else judge_at(judge)
    return PricedJudge(made, _rates(made, prices, at))


def _rates(judge: Judge, prices: Path | None, at: datetime) -> JudgeRates:
    if isinstance(judge, Priced):
        try:
            return JudgeRates(*map(Decimal, judge.usd_per_mtok))
        except (ArithmeticError, TypeError, ValueError):
            raise UsageError(
                f"The price of {judge.name} can't be read: {judge.usd_per_mtok!r}.",
                hint='Write two decimals as strings: usd_per_mtok = ("0.15", "0.60").',
            ) from None
    kind, _, model = judge.name.partition(":")
    found = price_of(model, {"bedrock": "aws"}.get(kind, kind), at=at, overrides=prices)
    if found.rates.is_empty():
        raise UsageError(
            f"The price of {judge.name} is unknown, so --max-spend can't limit its calls.",
            hint="Set its rates with --prices; your own class can have usd_per_mtok.",
        )
    row = found.rates.row(0, named=True)
    return JudgeRates(Decimal(row["input_per_mtok"]), Decimal(row["output_per_mtok"]))


def judged_by_model(
    docket: Docket,
    asked: PricedJudge,
    store: VerdictStore,
    max_spend_usd: Decimal,
    progress: Progress,
) -> JudgeOpinion:
    """Judge the pairs without a stored reply by a model."""
    done = run_judge(
        docket.items,
        asked.judge,
        store,
        Budget(asked.rates, max_spend_usd),
        progress=progress,
    )
    return _opinion(docket, asked.judge.name, done.verdicts, done)


def judged_by_people(docket: Docket, form: Path) -> JudgeOpinion | None:
    """Read a form that people filled in; if it does not exist, write it and return None."""
    if not form.exists():
        write_form(docket.items[: len(docket.sample.rows)], form)
        return None
    verdicts = {one.key: bool(one.right) for one in read_form(form)}
    return _opinion(docket, f"human:{form.name}", verdicts, None)


def price_of_judging(docket: Docket, asked: PricedJudge, store: VerdictStore) -> Quote:
    """Return the highest possible cost of the pairs without a stored reply."""
    return quote(docket.items, asked.judge.name, store, asked.rates)


def keep_misses(said: Sequence[JudgeOpinion], run: RunDir) -> None:
    """Keep for later analyses what the last judge with enough verdicts showed."""
    for one in reversed(said):
        if one.misses is not None:
            write_misses(one.misses, run)
            return


def judges_agree(first: JudgeOpinion, second: JudgeOpinion) -> tuple[int, float, Estimate | None]:
    """Return how many pairs both judged, the share of equal verdicts, and Cohen's kappa."""
    found = agreement(np.array(first.by_pair, np.int8), np.array(second.by_pair, np.int8))
    kappa = (
        None
        if found.kappa is None
        else Estimate(found.kappa, "estimated", found.kappa_low, found.kappa_high)
    )
    return found.pairs, found.share, kappa


def _item(run: SemanticRun, asked: int, matched: int) -> JudgeItem:
    log = run.check.log
    return JudgeItem(
        question=log.questions[log.question[asked]],
        logged_answer=_answer(run, asked),
        cached_question=log.questions[log.question[matched]],
        cached_answer=_answer(run, matched),
    )


def _answer(run: SemanticRun, request: int) -> str:
    place = int(run.check.log.answer[request])
    return run.check.log.answers[place] if place >= 0 else ""


def _opinion(
    docket: Docket, name: str, verdicts: Mapping[str, bool], run: JudgeRun | None
) -> JudgeOpinion:
    """Correct the comparison by verdicts, and verdicts by the judge's errors on control pairs.

    People's verdicts count as they are: they get no control pairs.
    """
    said = np.array([int(verdicts.get(item.key, -1)) for item in docket.items], np.int8)
    drawn, controls = np.split(said, [len(docket.sample.rows)])
    error = judge_error(docket.controls.right, controls) if run else PERFECT
    given = int((drawn >= 0).sum())
    enough = given >= _FEWEST and error.is_useful
    found = corrected_share(docket.probability, docket.sample, drawn, error) if enough else None
    learned = None
    if enough and docket.kinds[:, docket.sample.rows[drawn >= 0]].any():
        learned = missed_details(docket.kinds, docket.sample, drawn, error)
    return JudgeOpinion(
        judge=name,
        min_similarity=docket.min_similarity,
        requests=docket.requests,
        hits=docket.hits,
        pairs=len(drawn),
        verdicts=given,
        compared_share=Estimate(float(docket.probability.mean()), "estimated"),
        right_share=found.share if found else None,
        powered_share=found.powered if found else None,
        verdicts_alone_share=found.verdicts_alone if found else None,
        unsafe_served_share=_unsafe(docket, found.share) if found else None,
        spent_usd=run.spent_usd if run else Decimal(0),
        note=_note(error, run, learned, enough=enough),
        by_pair=tuple(drawn.tolist()),
        misses=Misses(name, given, **vars(learned)) if learned else None,
    )


def _note(
    error: JudgeError,
    run: JudgeRun | None,
    learned: Missed | None,
    *,
    enough: bool,
) -> str:
    parts = []
    missed = learned.missed + learned.unexplained if learned else 0.0
    seen = learned.seen if learned else 0.0
    if round(missed + seen, 1) > 0:
        parts.append(
            f"Of about {missed + seen:.1f} wrong details among them, about {missed:.1f} were seen "
            "by no detector; later analyses of this run count with that."
        )
    if run is not None:
        parts.append(
            f"On control pairs it called {error.right_called_right:.0%} of the right ones right, "
            f"and {error.wrong_called_right:.0%} of the wrong ones."
        )
        parts.append(f"Spent ${run.spent_usd:.4f} now, on {run.asked} calls.")
        if run.malformed or run.failed:
            parts.append(
                f"{run.malformed} replies contained no verdict, {run.failed} calls failed."
            )
        if run.stopped:
            parts.append(f"Stopped early: {run.stopped}. The same command continues from there.")
    if not enough:
        parts.append(
            f"At least {_FEWEST} verdicts are needed, from a judge that tells right from wrong."
        )
    return " ".join(parts)


def _unsafe(docket: Docket, right: Estimate) -> Estimate:
    """Return the share of wrong answers in all requests, from the share of right hits."""
    part = docket.hits / max(docket.requests, 1)
    low = None if right.high is None else part * (1 - right.high)
    high = None if right.low is None else part * (1 - right.low)
    return Estimate(part * (1 - right.value), "estimated", low, high)
