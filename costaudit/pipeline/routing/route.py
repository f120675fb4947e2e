"""`route` as a library call: try a candidate on a sample, judge it, and compute the saving."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt

from costaudit.answers.judge.ask import Budget, JudgeRun, Quote, Sample, quote, run_judge
from costaudit.answers.judge.judge import JudgeItem
from costaudit.answers.judge.ppi import JudgeError, corrected_share, judge_error
from costaudit.answers.judge.verdicts import VerdictStore, read_form, write_form
from costaudit.contracts.audit import Audit
from costaudit.contracts.grades import Estimate, Grade, Money
from costaudit.contracts.route import Router, RouteSection, RouteTopic
from costaudit.costing.months.month import Month
from costaudit.errors import InsufficientDataError
from costaudit.levers.router import Features, Labels, ShortRule, Tested, share_bounds, tested_rule
from costaudit.levers.twins import question_keys, repeat_pairs
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.routing.caches import cold_usd, moved_usd, warm_usd
from costaudit.pipeline.routing.candidates import Candidate
from costaudit.pipeline.routing.population import Population, population_of
from costaudit.pipeline.routing.tries import Sampled, Tries, TryStore
from costaudit.pipeline.semantic.judging import PricedJudge
from costaudit.progress import Progress

LEAST_VERDICTS = 30  # minimum number of verdicts for a rule
_CONTROL_SHARE = 0.1  # control pairs of each kind (whose truth is known), as a share of the sample
Floats = npt.NDArray[np.float64]
Said = npt.NDArray[np.int8]


@dataclass(frozen=True)
class RouteOptions:
    """The settings of a trial."""

    sample: int
    max_spend_usd: Decimal
    most_loss: float  # maximum number of calls that may get a worse answer, as a share
    source: str | None = None  # the one model whose calls may move; None: all others
    seed: int = 0


@dataclass(frozen=True)
class Trial:
    """A candidate, and the calls to try on it."""

    log: Loaded
    candidate: Candidate
    options: RouteOptions
    population: Population
    sample: Sample
    sampled: Sampled

    @classmethod
    def of(cls, log: Loaded, candidate: Candidate, options: RouteOptions) -> "Trial":
        """Draw the sample; raises InsufficientDataError if too few calls could move."""
        population = population_of(log, candidate, options.source, options.seed)
        sample = population.sample(options.sample, options.seed)
        drawn = log.requests[population.rows[sample.rows].tolist()]
        store = TryStore(log.run.path / "route.jsonl")
        return cls(
            log, candidate, options, population, sample,
            Sampled.of(drawn, log.blocks, candidate, store),
        )  # fmt: skip

    def items(self, tries: Tries) -> list[JudgeItem]:
        """Return the pairs to judge: answers that differ from the logged one."""
        return [
            self._item(place, answer)
            for place, one in enumerate(tries.answers)
            if one is not None and (answer := one.text).strip() != self._logged(place).strip()
        ]

    def verdicts(self, tries: Tries, known: Mapping[str, bool]) -> Said:
        """Return 1 or 0 for each sampled call, -1 without a verdict."""
        said = np.full(len(tries.answers), -1, np.int8)
        for place, one in enumerate(tries.answers):
            if one is None:
                continue
            same = one.text.strip() == self._logged(place).strip()
            right = True if same else known.get(self._item(place, one.text).key)
            said[place] = -1 if right is None else int(right)
        return said

    def controls(self) -> tuple[list[JudgeItem], npt.NDArray[np.bool_]]:
        """Return control pairs with known truth: repeats, and answers to other questions."""
        each = max(int(self.options.sample * _CONTROL_SHARE), 5)
        right = self._repeats(each)
        rng = np.random.default_rng(self.options.seed)
        wrong = []
        topics, people = self.population.topics.of, self.population
        for _ in range(20 * each):
            a, b = rng.integers(len(people.rows), size=2)
            apart = topics[a] != topics[b] or len(people.topics.names) == 1
            if apart and not _alike(people.questions[a], people.questions[b]):
                wrong.append(JudgeItem(people.questions[a], people.answers[a],
                                       people.questions[b], people.answers[b]))  # fmt: skip
            if len(wrong) == each:
                break
        truth = np.repeat([True, False], [len(right), len(wrong)])
        return [*right, *wrong], truth

    def _repeats(self, most: int) -> list[JudgeItem]:
        again = repeat_pairs(question_keys(self.log.requests, self.log.blocks))
        again = again.filter(again["first_answer"] != again["second_answer"]).head(most)
        place = {int(row): i for i, row in enumerate(self.population.rows)}
        texts = dict(
            self.log.blocks.filter(
                self.log.blocks["block_id"].is_in(
                    [*again["first_answer"], *again["second_answer"]]
                )
            ).select("block_id", "text").iter_rows()
        )  # fmt: skip
        found = []
        for row, first, second in again.select(
            "first_row", "first_answer", "second_answer"
        ).iter_rows():
            if row in place and texts.get(first) and texts.get(second):
                question = self.population.questions[place[row]]
                found.append(JudgeItem(question, texts[second], question, texts[first]))
        return found

    def _logged(self, place: int) -> str:
        return self.population.answers[int(self.sample.rows[place])]

    def _item(self, place: int, answer: str) -> JudgeItem:
        question = self.population.questions[int(self.sample.rows[place])]
        return JudgeItem(question, self._logged(place), question, answer)


def _alike(first: str, second: str) -> bool:
    one, other = set(first.lower().split()), set(second.lower().split())
    return 2 * len(one & other) > 0.5 * (len(one) + len(other))


def judged_by_model(
    trial: Trial, tries: Tries, judge: PricedJudge, store: VerdictStore, progress: Progress
) -> tuple[Said, JudgeError, JudgeRun]:
    """Judge the answers without a verdict, and control pairs, by a model."""
    pairs, truth = trial.controls()
    left = max(trial.options.max_spend_usd - tries.spent_usd, Decimal(0))
    run = run_judge(
        [*trial.items(tries), *pairs],
        judge.judge,
        store,
        Budget(judge.rates, left),
        progress=progress,
    )
    on_controls = np.array([int(run.verdicts.get(one.key, -1)) for one in pairs], np.int8)
    return trial.verdicts(tries, run.verdicts), judge_error(truth, on_controls), run


def judged_by_people(trial: Trial, tries: Tries, form: Path) -> Said | None:
    """Read a form that people filled in; if it does not exist, write it and return None."""
    if not form.exists():
        write_form(trial.items(tries), form)
        return None
    return trial.verdicts(tries, {one.key: bool(one.right) for one in read_form(form)})


def price_of_judging(trial: Trial, tries: Tries, judge: PricedJudge, store: VerdictStore) -> Quote:
    """Return the highest possible cost of the pairs without a verdict."""
    pairs, _ = trial.controls()
    return quote([*trial.items(tries), *pairs], judge.judge.name, store, judge.rates)


def section_of(
    trial: Trial, tries: Tries, said: Said, error: JudgeError, told: "Told"
) -> RouteSection:
    """Return the section from verdicts; raises InsufficientDataError for too few of them."""
    judged = said >= 0
    if judged.sum() < LEAST_VERDICTS:
        raise InsufficientDataError(
            f"{int(judged.sum())} verdicts are too few to judge {trial.candidate.name}: at least "
            f"{LEAST_VERDICTS} are needed.",
            hint="Raise --sample and --max-spend; answers that you paid for are kept.",
        )
    people, sample = trial.population, trial.sample
    growth = _growth(trial, tries)
    changed = trial.candidate.changes  # the same model keeps its prompt cache
    as_sent = warm_usd(trial.log, growth) if changed else None
    cold = cold_usd(trial.log, trial.candidate, growth) if as_sent is None else as_sent
    cheap = cold[people.rows]
    gain = people.usd - cheap
    labels = _labels(people, sample, said)
    features = Features.of(people.questions)
    tested = tested_rule(features, labels, gain, trial.options.most_loss, trial.options.seed)
    sends = tested.rule.sends(features.rows) & (gain > 0)
    share = corrected_share(tested.chance, sample, said, error) if error.is_useful else None
    moves = np.zeros(len(trial.log.requests), np.bool_)
    moves[people.rows[sends]] = True
    after, caches = (
        moved_usd(trial.log, trial.candidate, growth, moves)
        if as_sent is None
        else (np.where(moves, as_sent, 0.0), None)
    )
    loss = true_loss(tested, error)
    month = trial.log.month
    saved = _saved(people.usd[sends], after[moves], loss, len(people.rows), month)
    colder = caches.colder.usd if caches else Decimal(0)
    every = _saved(people.usd, cheap, _all_loss(share, tested), len(people.rows), month)
    return RouteSection(
        candidate=trial.candidate.name,
        judge=told.judge,
        calls=len(people.rows),
        spend=Money(
            month.paced(_usd(people.usd.sum())), "estimated" if month.facts.is_month else "measured"
        ),
        sampled=len(said),
        tried=sum(one is not None for one in tries.answers),
        judged=int(judged.sum()),
        right_share=share.powered if share else None,
        verdicts_alone_share=share.verdicts_alone if share else None,
        topics=_topics(trial, said, sends, error),
        router=_router(features, tested, sends, loss, people, trial.candidate.name),
        caches=caches,
        saved=Money(
            saved.usd - colder,
            "estimated",
            None if saved.low_usd is None else saved.low_usd - colder,
            None if saved.high_usd is None else saved.high_usd - colder,
        ),
        saved_all=every,
        most_loss=trial.options.most_loss,
        spent_usd=tries.spent_usd + told.spent_usd,
        note=told.note,
    )


def with_trials(audit: Audit, sections: Sequence[RouteSection]) -> Audit:
    """Return an audit with trials; a new trial of a candidate replaces an earlier one."""
    tried = {one.candidate for one in sections}
    kept = (one for one in audit.routes if one.candidate not in tried)
    return replace(audit, routes=(*kept, *sections))


@dataclass(frozen=True)
class Told:
    """Who judged, what it cost, and a note for the reader."""

    judge: str
    spent_usd: Decimal = Decimal(0)
    note: str = ""


def told_by(judge: str, tries: Tries, error: JudgeError, run: JudgeRun | None) -> Told:
    """Return a note about the judge's calls."""
    parts = []
    if run is not None:
        parts.append(
            f"On control pairs the judge called {error.right_called_right:.0%} of the right ones "
            f"right, and {error.wrong_called_right:.0%} of the wrong ones."
        )
    failed = tries.failed + (run.failed if run else 0)
    if failed:
        parts.append(f"{failed} calls failed.")
    if run is not None and run.malformed:
        parts.append(f"{run.malformed} replies of the judge contained no verdict.")
    parts += [
        f"Stopped early: {stopped}. The same command continues from there."
        for stopped in (tries.stopped, run.stopped if run else "")
        if stopped
    ]
    return Told(judge, run.spent_usd if run else Decimal(0), " ".join(parts))


def true_loss(tested: Tested, error: JudgeError) -> Estimate:
    """Return a loss corrected for the judge's errors, by Rogan and Gladen's formula."""
    gap = error.right_called_right - error.wrong_called_right
    sent = float(np.mean(tested.sent))
    slack = (1 - error.right_called_right) * sent  # right answers that the judge calls wrong

    def truth(seen: float) -> float:
        return float(np.clip((seen - slack) / gap, 0.0, 1.0)) if gap > 0 else 1.0

    return Estimate(truth(tested.loss), "estimated", truth(tested.low), truth(tested.high))


def _all_loss(share: object, tested: Tested) -> Estimate:
    """Return the loss if every call moved."""
    powered = getattr(share, "powered", None)
    if powered is None:
        bad = 1 - float(tested.chance.mean())
        return Estimate(bad, "estimated", 0.0, 1.0)
    return Estimate(1 - powered.value, "estimated", 1 - powered.high, 1 - powered.low)


def _spent(month: Month, usd: float) -> Money:
    grade: Grade = "estimated" if month.facts.is_month else "measured"
    return Money(month.paced(_usd(usd)), grade)


def _saved(before: Floats, after: Floats, loss: Estimate, calls: int, month: Month) -> Money:
    """Return the saving of moving calls; a worse answer is repeated at the old price."""
    each = float(before.mean()) if len(before) else 0.0
    gross = float(before.sum() - after.sum())
    least, most = (gross - calls * each * share for share in (loss.high or 0.0, loss.low or 0.0))
    return Money(
        month.paced(_usd(gross - calls * each * loss.value)),
        "estimated",
        month.paced(_usd(least)),
        month.paced(_usd(most)),
    )


def _labels(people: Population, sample: Sample, said: Said) -> Labels:
    """Return verdicts, weighted by the calls of the topic that each represents."""
    judged = np.flatnonzero(said >= 0)
    rows = sample.rows[judged]
    topic = people.topics.of[rows]
    members = np.bincount(people.topics.of, minlength=len(people.topics.names))
    held = np.bincount(topic, minlength=len(members))
    return Labels(rows, said[judged] == 1, (members / np.maximum(held, 1))[topic])


def _growth(trial: Trial, tries: Tries) -> tuple[float, float]:
    """Return the candidate's input and output tokens per token of the log, in the sample."""
    got = [(place, one) for place, one in enumerate(tries.answers) if one is not None]
    if not got:
        return 1.0, 1.0
    rows = trial.population.rows[trial.sample.rows[[place for place, _ in got]]]
    logged = trial.log.tariff.classes[rows.tolist()].to_numpy()
    sent, said = int(logged[:, :-1].sum()), int(logged[:, -1].sum())
    asked = sum(sum(one.tokens[:-1]) for _, one in got)
    answered = sum(one.tokens[-1] for _, one in got)
    return asked / max(sent, 1), answered / max(said, 1)


def _topics(
    trial: Trial, said: Said, sends: npt.NDArray[np.bool_], error: JudgeError
) -> tuple[RouteTopic, ...]:
    people, month = trial.population, trial.log.month
    found = []
    for topic, name in enumerate(people.topics.names):
        mine = people.topics.of == topic
        own = said[(people.topics.of[trial.sample.rows] == topic) & (said >= 0)]
        gap = error.right_called_right - error.wrong_called_right
        low, high = share_bounds(own == 1, np.ones(len(own)))
        value = float(own.mean()) if len(own) else 0.0
        ends = [
            float(np.clip((one - error.wrong_called_right) / gap, 0, 1)) if gap > 0 else one
            for one in (value, low, high)
        ]
        found.append(
            RouteTopic(
                topic=name,
                calls=int(mine.sum()),
                spend=Money(
                    month.paced(_usd(people.usd[mine].sum())),
                    "estimated" if month.facts.is_month else "measured",
                ),
                tried=len(own),
                right=int((own == 1).sum()),
                agreement=Estimate(ends[0], "estimated", ends[1], ends[2]),
                sent_share=float(sends[mine].mean()),
            )
        )
    return tuple(sorted(found, key=lambda one: -one.spend.usd))


def _router(
    features: Features,
    tested: Tested,
    sends: npt.NDArray[np.bool_],
    loss: Estimate,
    people: Population,
    name: str,
) -> Router:
    if not sends.any():
        return Router("", 0.0, loss, 1.0)
    short = ShortRule.of(features, tested.rule)
    same = [short.sends(text) == sent for text, sent in zip(people.questions, sends, strict=True)]
    return Router(short.code(name), float(sends.mean()), loss, float(np.mean(same)))


def _usd(amount: float) -> Decimal:
    return Decimal(repr(float(amount)))
