"""`costaudit sweep`: simulate the semantic cache at every threshold, and check conditions."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from costaudit.cli import options as opt
from costaudit.cli.values import share
from costaudit.errors import GateFailedError, InsufficientDataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.contracts.grades import Estimate
    from costaudit.contracts.policies import TtlKind
    from costaudit.contracts.semantic import SemanticSection
    from costaudit.pipeline.loaded import Loaded
    from costaudit.pipeline.settings import AnalyzeOptions
    from costaudit.progress import Progress

_FORM = re.compile(r"\s*(\w+)\s*(<=|>=|<|>)\s*([\d.]+\s*%?)\s*")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_NAMES = ("hit_rate", "valid_hit_rate", "unsafe_served")


@dataclass(frozen=True)
class Condition:
    """One `--fail-if`."""

    text: str
    name: str
    compare: str
    limit: float


def read_conditions(texts: Sequence[str]) -> list[Condition]:
    """Return conditions; raises UsageError for one that can't be understood."""
    found = []
    for text in texts:
        match = _FORM.fullmatch(text)
        if match is None or match[1] not in _NAMES:
            raise UsageError(
                f"--fail-if {text!r} can't be understood.",
                hint=f"Write NAME<SHARE or NAME>SHARE, with one of {', '.join(_NAMES)}.",
            )
        found.append(Condition(text, match[1], match[2], share(match[3], "--fail-if")))
    return found


def check_conditions(conditions: Sequence[Condition], section: "SemanticSection") -> None:
    """Raise GateFailedError if a condition may hold at the point in question.

    That is the only threshold of the sweep, or else the recommended one.
    """
    check_estimates(conditions, _estimates(section))


def check_estimates(
    conditions: Sequence[Condition], estimates: "Mapping[str, Estimate | None]"
) -> None:
    """Raise GateFailedError if a condition may hold for `estimates`, which are by name.

    The 95 % bound on the condition's side counts: a cache fails if its wrong answers may exceed the
    limit, not only if they probably do. Raises InsufficientDataError if the log can't show it.
    """
    failed = []
    for condition in conditions:
        value, side = _value(condition, estimates.get(condition.name))
        if _COMPARE[condition.compare](value, condition.limit):
            failed.append(f"{condition.text.strip()} ({condition.name} may be {value:.4f}{side})")
    if failed:
        raise GateFailedError(
            f"Gate failed: {'; '.join(failed)}.",
            hint="The table above shows the result of each threshold.",
        )


def _value(condition: Condition, estimate: "Estimate | None") -> tuple[float, str]:
    """Return the value that counts, and a text that names its bound."""
    if estimate is None:
        raise InsufficientDataError(
            f"This log can't show {condition.name}: it holds no answers to compare.",
            hint="Export the log with the answers, or leave the condition out.",
        )
    below = condition.compare.startswith("<")
    bound = estimate.low if below else estimate.high
    if bound is None:
        return estimate.value, ""
    return bound, f", the {'lower' if below else 'upper'} 95% bound"


def _estimates(section: "SemanticSection") -> "dict[str, Estimate | None]":
    point = section.points[0] if len(section.points) == 1 else section.chosen
    if point is None:
        return {}
    return {
        "hit_rate": point.raw_hit_share,
        "valid_hit_rate": point.valid_hit_share,
        "unsafe_served": point.unsafe_served_share,
    }


def sweep(
    logs: opt.Logs,
    out: opt.Out = None,
    since: opt.Since = "",
    until: opt.Until = "",
    where: opt.Where = None,
    embedder: opt.Embedder = "minilm",
    thresholds: opt.Thresholds = "0.70:0.99:0.01",
    scope: opt.Scope = opt.SCOPE,
    key: opt.Key = "conversation",
    ttl: Annotated[
        str,
        typer.Option(
            "--ttl",
            metavar="TIME,...",
            help="Lifetime of entries, such as 30m or 24h. A list, which may contain none, "
            "compares lifetimes; the other tables use its first. [default: no limit]",
        ),
    ] = "",
    ttl_kind: Annotated[
        str,
        typer.Option(
            "--ttl-kind",
            metavar="fixed|sliding|both",
            help="Fixed: counted from the insertion. Sliding: each hit renews the entry. Both: "
            "compares them.",
        ),
    ] = "fixed",
    max_entries: opt.MaxEntries = None,
    eviction: opt.Eviction = "lru",
    visible_after: opt.VisibleAfter = "response",
    guard: opt.Guard = "",
    max_wrong: opt.MaxWrong = "1%",
    wrong_cost: Annotated[
        str,
        typer.Option(
            "--wrong-cost",
            metavar="USD",
            help="Cost of each wrong answer, in US dollars; it reduces the saving.",
        ),
    ] = "0",
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="CONDITION",
            help="Exit 3 if it may hold at the recommended threshold, or at the only one, "
            "such as 'unsafe_served>0.01' or 'hit_rate<0.2'. The bound of the 95% interval on the "
            "condition's side counts. [default: none]",
        ),
    ] = None,
    compare_embedders: Annotated[
        str,
        typer.Option(
            "--compare-embedders",
            metavar="NAME,...",
            help="Embed the log with each of these, and compare them. [default: none]",
        ),
    ] = "",
    approx: Annotated[
        bool,
        typer.Option(
            "--approx",
            help="Search only a part of the texts, and show the error of that.",
        ),
    ] = False,
    sample: Annotated[
        str,
        typer.Option(
            "--sample",
            metavar="SIZE",
            help="Embed only so many distinct texts, such as 5% or 20000, and estimate hits and "
            "money with 95% intervals. [default: all texts]",
        ),
    ] = "",
    format: opt.TableFormat = "terminal",
    seed: opt.Seed = 0,
    quiet: opt.Quiet = False,
    config: opt.Config = None,
) -> int:
    """Simulate a semantic cache at every threshold, TTL and capacity."""
    from dataclasses import replace

    from costaudit.cli.progress import progress_on_stderr
    from costaudit.cli.session import (
        EntryLife,
        loaded_run,
        part_of_log,
        print_tables,
        run_path,
        semantic_policy,
    )
    from costaudit.cli.values import dollars, names, share
    from costaudit.contracts.run_dir import RunDir
    from costaudit.pipeline.loaded import check_embedder, nothing_to_compare
    from costaudit.pipeline.memory import SAMPLED_SWEEP
    from costaudit.pipeline.semantic.section import compare_embedders as compare
    from costaudit.pipeline.semantic.section import swept
    from costaudit.pipeline.settings import AnalyzeOptions
    from costaudit.report.language import said
    from costaudit.report.tables.semantic import (
        curve_table,
        embedder_table,
        misses_line,
        size_line,
        sweep_tables,
    )

    conditions = read_conditions(fail_if or [])
    lifetimes = read_lifetimes(ttl, ttl_kind)
    options = AnalyzeOptions(
        ingest=part_of_log(since, until, where),
        policy=semantic_policy(
            embedder,
            scope,
            key,
            EntryLife(
                names(ttl)[0] if names(ttl) else "",
                lifetimes[0][1],
                max_entries,
                eviction,
                visible_after,
            ),
            guard,
        ),
        thresholds=thresholds,
        max_wrong_share=share(max_wrong, "--max-wrong"),
        wrong_cost_usd=dollars(wrong_cost, "--wrong-cost", zero=True),
        seed=seed,
        approximate=approx,
        lifetimes=lifetimes if len(lifetimes) > 1 else (),
    )  # fmt: skip
    if compare_embedders:
        _refuse("--compare-embedders", {"--fail-if": bool(conditions), "--sample": bool(sample)})
    for name in names(compare_embedders):
        check_embedder(name, RunDir(run_path(logs, out)))
    size = _checked_sample(sample, options, conditions) if sample else None
    log = loaded_run(logs, out, options, quiet=quiet, need=SAMPLED_SWEEP if size else None)
    with progress_on_stderr(quiet) as progress:
        if compare_embedders:
            rows = compare(log, options, names(compare_embedders), progress)
            print_tables([embedder_table(rows), curve_table(rows)], format, rows)
            return 0
        note = _sampled(log, options, size, format, conditions, progress) if size else ""
        if note is None:
            return 0
        result = swept(log, options, progress)
    if result is None:
        raise nothing_to_compare(log, options.policy)
    section = replace(result.section, exact_why=note or result.section.exact_why)
    texts = (section.exact_why, section.recommended_why, section.user_data)
    parts = (*map(said, texts), misses_line(section), size_line(section))
    print_tables(sweep_tables(section), format, section, " ".join(part for part in parts if part))
    check_conditions(conditions, section)
    return 0


def read_lifetimes(ttl: str, ttl_kind: str) -> "tuple[tuple[float | None, TtlKind], ...]":
    """Return TTLs and their kinds; entries that never expire have one kind."""
    from costaudit.cli.values import duration_s, names, one_of

    one_of(ttl_kind, ("fixed", "sliding", "both"), "--ttl-kind")
    kinds: tuple[TtlKind, ...] = ("fixed", "sliding")
    kinds = kinds if ttl_kind == "both" else tuple(one for one in kinds if one == ttl_kind)
    found: list[tuple[float | None, TtlKind]] = []
    for part in names(ttl) or ("none",):
        seconds = duration_s(part)
        found += [(seconds, kind) for kind in (kinds if seconds is not None else kinds[:1])]
    return tuple(dict.fromkeys(found))


def _checked_sample(
    sample: str, options: "AnalyzeOptions", conditions: "Sequence[Condition]"
) -> float:
    """Return the sample's size; raises UsageError for options that a sample can't work with."""
    from costaudit.cli.values import sample_size
    from costaudit.simulate.semantic.thresholds import parse_thresholds

    policy = options.policy
    _refuse(
        "--sample",
        {
            "--approx": options.approximate,
            "--guard": bool(policy.guard),
            "--max-entries": policy.max_entries is not None,
            "more than one --ttl": bool(options.lifetimes),
        },
    )
    for one in conditions:
        if one.name != "hit_rate":
            raise UsageError(
                f"--fail-if {one.name} can't be found from a sample: its answers are not judged.",
                hint="Leave --sample out, or use a condition on hit_rate.",
            )
    if conditions and len(parse_thresholds(options.thresholds)) != 1:
        raise UsageError(
            "With --sample no threshold is recommended, so --fail-if needs one.",
            hint="Set one, such as --thresholds 0.9.",
        )
    return sample_size(sample)


def _refuse(option: str, others: dict[str, bool]) -> None:
    for other, given in others.items():
        if given:
            raise UsageError(f"{option} can't be combined with {other}.", hint="Leave one out.")


def _sampled(
    log: "Loaded",
    options: "AnalyzeOptions",
    size: float,
    form: str,
    conditions: "Sequence[Condition]",
    progress: "Progress",
) -> str | None:
    """Print a sample's estimates; return a reason instead if all texts must be embedded."""
    from costaudit.cli.session import print_tables
    from costaudit.pipeline.semantic.sampled import sampled_sweep
    from costaudit.report.tables.semantic import sampled_line, sampled_table

    found = sampled_sweep(log, options, size, progress)
    if isinstance(found, str):
        return found
    print_tables([sampled_table(found)], form, found, sampled_line(found))
    check_estimates(conditions, {"hit_rate": found.points[-1].raw_hit_share})
    return None
