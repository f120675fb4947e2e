"""Compute the traffic that alerts expect: the log under its audit's recommended policy."""

from dataclasses import replace

import numpy as np
import polars as pl

from costaudit.contracts.audit import Audit
from costaudit.contracts.month import MONTH_DAYS
from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.requests import INPUT_CLASSES, TS_S
from costaudit.costing.cost import per_request_usd
from costaudit.costing.months.month import Month
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.semantic.keyed_run import EXACT
from costaudit.pipeline.semantic.text_run import SemanticRun
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import Progress
from costaudit.replay.monitoring.expected import (
    ExpectedTraffic,
    Outlook,
    Traffic,
    expected_traffic,
)


def audited_policy(audit: Audit) -> SemanticPolicy | None:
    """Return the policy that an audit recommends; None if it recommends no response cache."""
    if audit.semantic is None:
        return None
    policy = SemanticPolicy.named(audit.semantic.policy_id)
    least = audit.semantic.recommended
    return replace(policy, min_similarity=EXACT if least is None else least)


def traffic_as_predicted(log: Loaded, audit: Audit, progress: Progress) -> ExpectedTraffic | None:
    """Simulate the recommended policy, and return the usual range of its hours.

    Return None if the log holds no texts, so that nothing can be simulated.
    """
    policy = audited_policy(audit)
    if policy is None or log.hashed:
        return None
    run = SemanticRun(log, AnalyzeOptions(policy=policy), progress)
    if not run.stream.timed:
        return None
    served = run.swept([policy]).served[0] >= 0
    traffic = traffic_of(log, run.eligible, served)
    return expected_traffic(traffic, outlook_of(log.month, traffic))


def outlook_of(month: Month, traffic: Traffic) -> Outlook:
    """Return what the month model expects of the traffic by the end of the next month.

    A log that is too short for a month (less than two days) has no outlook.
    """
    if month.hours is None or not month.facts.is_month:
        return Outlook()
    timed = month.place >= 0

    def pace(by_request: np.ndarray) -> tuple[float, float]:
        """Return the last day's pace and its upper bound, as multiples of the log's mean."""
        every = np.zeros(len(month.place))
        every[timed] = by_request
        daily = month.daily(every)
        total = float(daily.sum())
        if not total:
            return 1.0, 1.0
        # The middle of the next two months is the next month's end.
        middle, _, high = month.projected(daily, 2 * MONTH_DAYS)
        return max(middle / total, 0.1), max(high / total, 1.0)

    answered = ~traffic.hit
    lookups, hits = (pace(one.astype(float))[0] for one in (traffic.looked_up, traffic.hit))
    answers, (cost, cost_high) = pace(answered.astype(float))[0], pace(traffic.cost_usd * answered)
    inputs, reads = (pace(one * answered)[0] for one in (traffic.input_tokens, traffic.read_tokens))
    return Outlook(
        covered=month.hours.covered,
        hit_rate=hits / lookups,
        cost_per_answer=cost / answers,
        read_share=reads / inputs,
        day_cost=cost_high,
    )


def traffic_of(log: Loaded, looked_up: np.ndarray, hit: np.ndarray) -> Traffic:
    """Return a log's timed requests, as hits and as requests that a model answers."""
    requests, classes = log.requests, log.tariff.classes
    ts_s = requests.select(TS_S).to_series().fill_null(np.nan).to_numpy()
    timed = np.isfinite(ts_s)
    usd = np.nan_to_num(per_request_usd(classes, log.tariff.billed))
    reads = classes["cache_read_tokens"].fill_null(0).cast(pl.Float64).to_numpy()
    whole = classes.select(pl.sum_horizontal(pl.col(INPUT_CLASSES).fill_null(0)))
    inputs = whole.to_series().cast(pl.Float64).to_numpy()
    columns = (ts_s, looked_up, hit, usd, reads, inputs)
    return Traffic(*(column[timed] for column in columns))
