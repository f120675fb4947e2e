"""Find which rules of the live cache differ from the simulated ones, by changing each in turn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import polars as pl

from costaudit.contracts.policies import CacheKey, SemanticPolicy, TtlKind
from costaudit.contracts.replay import RuleChange, RuleKind
from costaudit.pipeline.replaying.judging import served_rows
from costaudit.pipeline.semantic.keyed_run import EXACT
from costaudit.pipeline.semantic.text_run import SemanticRun
from costaudit.simulate.semantic.keys import keys_of
from costaudit.simulate.semantic.stream import Stream, keyed_stream, rescoped
from costaudit.simulate.semantic.sweep import sweep

LEAST = 3  # minimum number of decisions that a rule explains, minus those that it breaks
LEAST_SHARE = 0.05  # minimum share of the differences
MOST_RULES = 3  # maximum number of rules that are changed together
HOUR_S, DAY_S = 3600.0, 86_400.0
TTLS_S = (60.0, 300.0, 600.0, 1800.0, HOUR_S, 2 * HOUR_S, 6 * HOUR_S, DAY_S, 7 * DAY_S)
THRESHOLDS = (*(round(0.5 + 0.02 * step, 2) for step in range(25)), EXACT)
CAPACITIES = (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000)
SCOPES = ("tenant", "user", "endpoint", "model", "provider", "system", "tools")
SAME_TEXTS = ("last_user", "conversation")  # keys that compare the same texts


@dataclass(frozen=True)
class Variant:
    """A policy with one changed rule."""

    kind: RuleKind
    rule: str  # as text, such as TTL 1 h, fixed
    policy: SemanticPolicy
    one_pool: bool = False  # one size limit applies to all scopes together


@dataclass(frozen=True)
class Explained:
    """The part of a replay's differences that changed rules explain."""

    changes: tuple[RuleChange, ...] = ()  # the best of each kind, and the combined ones
    request_ids: frozenset[str] = frozenset()  # explained by the combined rules


class _Truth:
    """What the live cache did, and which decisions count."""

    def __init__(self, run: SemanticRun, predicted: pl.DataFrame, measured: pl.DataFrame) -> None:
        requests = run.log.requests
        self.hit = served_rows(requests, measured) != -1
        self.predicted = served_rows(requests, predicted) != -1
        results = requests.select("request_id").join(
            measured.select("request_id", "result"), on="request_id", how="left",
            maintain_order="left",
        )["result"]  # fmt: skip
        self.counted = run.eligible & results.is_in(["hit", "miss"]).to_numpy()

    def wrong(self, hit: np.ndarray) -> np.ndarray:
        """Return which counted decisions differ from a simulation's."""
        return np.asarray(self.counted & (hit != self.hit))


def explained(
    run: SemanticRun,
    policy: SemanticPolicy,
    predicted: pl.DataFrame,
    measured: pl.DataFrame,
    *,
    other_texts: bool,
) -> Explained:
    """Simulate the log with one rule changed at a time, and return the changes that explain most.

    If `other_texts`, the cache may embed other texts than the key's, and these are embedded here. A
    rule is used if it explains clearly more decisions than it breaks; up to three are combined.
    """
    truth = _Truth(run, predicted, measured)
    before = truth.wrong(truth.predicted)
    if before.sum() < LEAST:
        return Explained()
    simulate = _Simulation(run, other_texts=other_texts)
    current, hit = Variant("threshold", "", policy), truth.predicted
    changes: list[RuleChange] = []
    for number in range(MOST_RULES):
        wrong = truth.wrong(hit)
        tried = list(_tried(simulate, current, truth, wrong))
        best = max(tried, key=lambda one: one[1].net, default=None)
        taken = best is not None and best[1].net >= max(LEAST, LEAST_SHARE * wrong.sum())
        if number == 0:
            changes += [change for _, change, _ in tried if change.explains > change.breaks]
        if best is None or not taken:
            break
        current, change, hit = best
        changes = [one for one in changes if one.kind != change.kind]  # drop others of its kind
        changes.append(replace(change, taken=number + 1))
    after = truth.wrong(hit)
    ids = run.log.requests["request_id"].filter(pl.Series(before & ~after))
    ranked = sorted(changes, key=lambda one: (one.taken or 99, -one.net))
    return Explained(tuple(ranked), frozenset(ids.to_list()))


def _tried(
    simulate: "_Simulation", current: Variant, truth: _Truth, wrong: np.ndarray
) -> Iterator[tuple[Variant, RuleChange, np.ndarray]]:
    """Yield the best variant of each kind, what it explains, and its hits; bool (n,)."""
    best: dict[RuleKind, tuple[Variant, RuleChange, np.ndarray]] = {}
    for variant, hit in simulate.hits(variants(current, simulate.run, truth.hit)):
        now = truth.wrong(hit)
        change = RuleChange(
            kind=variant.kind,
            rule=variant.rule,
            explains=int((wrong & ~now).sum()),
            breaks=int((now & ~wrong).sum()),
        )
        known = best.get(variant.kind)
        if known is None or change.net > known[1].net:
            best[variant.kind] = variant, change, hit
    yield from best.values()


def variants(current: Variant, run: SemanticRun, hit: np.ndarray) -> list[Variant]:
    """Return policies that differ from the current one by one rule."""
    made = [
        *_thresholds(current.policy),
        *_times(current.policy, run, hit),
        *_sizes(current.policy, run),
        *_scopes(current.policy, run),
        *(
            Variant("key", f"it compares {KEYS[key]}", replace(current.policy, key=key))
            for key in get_args(CacheKey)
        ),
    ]
    kept = [replace(one, one_pool=one.one_pool or current.one_pool) for one in made]
    return [one for one in kept if (one.policy, one.one_pool) != (current.policy, current.one_pool)]


def _thresholds(policy: SemanticPolicy) -> Iterator[Variant]:
    for threshold in THRESHOLDS:
        text = "identical text only" if threshold > 1 else f"similarity {threshold:g}"
        yield Variant("threshold", text, replace(policy, min_similarity=threshold))


def _times(policy: SemanticPolicy, run: SemanticRun, hit: np.ndarray) -> Iterator[Variant]:
    if not run.stream.timed:
        return
    yield Variant("TTL", "no TTL", replace(policy, ttl_s=None, ttl_kind="fixed"))
    for ttl_s in (*TTLS_S, *_ages(run, hit)):
        for kind in get_args(TtlKind):
            rule = f"TTL {duration(ttl_s)}, {kind}"
            yield Variant("TTL", rule, replace(policy, ttl_s=ttl_s, ttl_kind=kind))
    for moment in ("request", "response"):
        other = replace(policy, visible_after=moment)
        yield Variant("visibility", f"visible after the {moment}", other)


def _sizes(policy: SemanticPolicy, run: SemanticRun) -> Iterator[Variant]:
    for size in CAPACITIES if not policy.scope_after else ():
        for eviction in ("lru", "lfu", "fifo"):
            if size < len(run.stream.texts):
                limited = replace(policy, max_entries=size, eviction=eviction)
                rule = f"at most {size:,} entries, {eviction}"
                yield Variant("size", rule, limited, one_pool=True)


def _scopes(policy: SemanticPolicy, run: SemanticRun) -> Iterator[Variant]:
    requests = run.log.requests
    for name in SCOPES:
        if name in policy.scope:
            less = tuple(one for one in policy.scope if one != name)
            yield Variant("scope", f"{name} does not separate", replace(policy, scope=less))
            yield from _checked(replace(policy, scope=less), name)
        elif name in policy.scope_after:
            less = tuple(one for one in policy.scope_after if one != name)
            yield Variant("scope", f"{name} does not separate", replace(policy, scope_after=less))
            before = replace(policy, scope=(*policy.scope, name), scope_after=less)
            yield Variant("scope", f"{name} separates", before)
        elif name not in requests.columns or requests[name].null_count() < len(requests):
            more = replace(policy, scope=(*policy.scope, name))  # type: ignore[arg-type]
            yield Variant("scope", f"{name} separates", more)
    if len(policy.scope) > 1:
        yield Variant("scope", "nothing separates", replace(policy, scope=()))


def _checked(policy: SemanticPolicy, name: str) -> Iterator[Variant]:
    """Yield variants of a cache that checks a field only on the nearest entry."""
    if policy.guard or policy.max_entries is not None:
        return
    after = replace(policy, scope_after=(*policy.scope_after, name))  # type: ignore[arg-type]
    yield Variant("scope", f"{name} is compared with the nearest entry only", after)


KEYS = {
    "last_user": "the last user message alone",
    "conversation": "the last user message among requests of equal history",
    "full": "all messages",
    "prompt": "the whole prompt, system text first",
}


class _Simulation:
    """Simulates variants; those that share a stream are simulated in one pass."""

    def __init__(self, run: SemanticRun, *, other_texts: bool) -> None:
        self.run = run
        self._other_texts = other_texts
        self._streams: dict[tuple[object, ...], tuple[Stream, np.ndarray]] = {}

    def hits(self, tried: Sequence[Variant]) -> Iterator[tuple[Variant, np.ndarray]]:
        """Yield each variant with the requests that hit; bool (n,)."""
        groups: dict[tuple[object, ...], list[Variant]] = {}
        for one in tried:
            if self._possible(one.policy):
                policy = one.policy
                scopes = policy.scope, policy.scope_after
                name = (policy.key, scopes, policy.visible_after, one.one_pool)
                groups.setdefault(name, []).append(one)
        for group in groups.values():
            stream, vectors = self._stream(group[0])
            policies = [one.policy for one in group]
            guard = self.run.guard(policies)
            for one, served in zip(
                group, sweep(stream, vectors, policies, guard).served, strict=True
            ):
                yield one, served >= 0

    def _possible(self, policy: SemanticPolicy) -> bool:
        own = self.run.options.policy.key
        same = policy.key == own or {policy.key, own} <= set(SAME_TEXTS)
        return same or (self._other_texts and not policy.guard)

    def _stream(self, one: Variant) -> tuple[Stream, np.ndarray]:
        stream, vectors = self._keyed(one.policy)
        if one.policy.visible_after != self.run.options.policy.visible_after:
            stream = self._shifted(stream, one.policy)
        if one.one_pool:
            stream = replace(stream, pool=np.zeros_like(stream.pool))
        return stream, vectors

    def _shifted(self, stream: Stream, policy: SemanticPolicy) -> Stream:
        if policy.visible_after == "request":
            return replace(stream, ready_s=stream.ts_s)
        latency_ms = self.run.log.requests["latency_ms"].cast(pl.Float64)
        seconds = latency_ms.fill_null(0.0).fill_nan(0.0).clip(0.0).to_numpy() / 1e3
        return replace(stream, ready_s=stream.ts_s + seconds)

    def _keyed(self, policy: SemanticPolicy) -> tuple[Stream, np.ndarray]:
        name = policy.key, policy.scope, policy.scope_after
        if name in self._streams:
            return self._streams[name]
        run, log = self.run, self.run.log
        own = run.options.policy.key
        if policy.key == own:
            made = run.keyed(policy), run.vectors
        elif {policy.key, own} <= set(SAME_TEXTS):
            keys = keys_of(log.requests, log.compared, policy.key)
            made = rescoped(run.stream, log.requests, policy, log.templates, keys), run.vectors
        else:
            visible = replace(policy, visible_after=run.options.policy.visible_after)
            stream = keyed_stream(log.requests, log.compared, visible, log.templates)
            made = stream, run.embedded(stream.texts)
        self._streams[name] = made
        return made


def _ages(run: SemanticRun, hit: np.ndarray) -> tuple[float, ...]:
    """Return the age of the last equal text, in seconds, that separates hits from misses best.

    Return an empty tuple if no age separates them.
    """
    stream = run.stream
    asked = pl.DataFrame(
        {"text": stream.text, "partition": stream.partition, "ts_s": stream.ts_s, "hit": hit}
    ).filter(pl.col("text") >= 0)
    ages = asked.with_columns(
        age=pl.col("ts_s") - pl.col("ts_s").shift(1).over("text", "partition")
    ).drop_nulls("age").sort("age")  # fmt: skip
    if ages.is_empty():
        return ()
    right = ages["hit"].cast(pl.Int32).cum_sum().to_numpy()
    misses = (~ages["hit"]).cast(pl.Int32).cum_sum().to_numpy()
    score = right + (misses[-1] - misses)
    place = int(score.argmax())
    if place == len(score) - 1:
        return ()
    age = ages["age"].to_numpy()
    return (round(float(age[place] + age[place + 1]) / 2, 3),)


def duration(seconds: float) -> str:
    """Return seconds as text in the largest whole unit, such as 1 h, or with three digits."""
    for unit, size in (("d", DAY_S), ("h", HOUR_S), ("min", 60.0)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    for unit, size in (("d", DAY_S), ("h", HOUR_S), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"about {seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
