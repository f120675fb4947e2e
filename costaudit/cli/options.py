"""Define arguments and options that several verbs share, with defaults from costaudit.toml."""

import tomllib
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer

from costaudit.errors import InputError, UsageError


def read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Use the verb's table as the defaults of its options; the command line overrides it."""
    if path is not None:
        verb = context.command.name or ""
        context.default_map = _defaults(
            _table(path, verb, _verbs(context)), f"{path}, [{verb}]", context
        )
    return path


def _verbs(context: typer.Context) -> Collection[str]:
    """Return the verbs that a table may have as its name."""
    return tuple(getattr(context.parent and context.parent.command, "commands", ()))


def _table(path: Path, verb: str, verbs: Collection[str]) -> dict[str, Any]:
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            f"The configuration {path} can't be read: {getattr(error, 'strerror', error)}.",
            hint='Write TOML, a table for each verb: [analyze], then lines such as ttl = "24h".',
        ) from None
    unknown = sorted(set(tables) - set(verbs))
    if unknown:
        nearest = get_close_matches(unknown[0], verbs, n=1)
        known = f"The nearest is [{nearest[0]}]. " if nearest else ""
        raise UsageError(
            f"{path}: there is no verb {unknown[0]!r}.",
            hint=f"{known}A table has a verb's name: {', '.join(sorted(verbs))}.",
        )
    table = tables.get(verb, {})
    if not isinstance(table, dict):
        raise UsageError(f"{path}: {verb!r} is no table.", hint=f"Write [{verb}].")
    return table


def _defaults(table: dict[str, Any], where: str, context: typer.Context) -> dict[str, Any]:
    """Return a table's values by the parser's names of options."""
    names = {
        option.removeprefix("--"): str(parameter.name)
        for parameter in context.command.params
        for option in parameter.opts
        if option.startswith("--") and option not in ("--config", "--help")
    }
    spelt = {key: key.replace("_", "-") for key in table}
    for key, name in spelt.items():
        if name not in names:
            nearest = get_close_matches(name, sorted(names), n=1)
            known = f"The nearest is {nearest[0]!r}. " if nearest else ""
            raise UsageError(
                f"{where}: there is no option {key!r}.",
                hint=f"{known}Choose from {', '.join(sorted(names))}.",
            )
    return {names[spelt[key]]: value for key, value in table.items()}


LOGS_HELP = (
    "Files, folders, globs, - for standard input, s3:// gs:// https:// addresses; "
    ".gz and .zst are read as they are. A run directory works like the log it came from."
)
Logs = Annotated[list[str], typer.Argument(metavar="LOG", help=LOGS_HELP, show_default=False)]
Run = Annotated[
    Path,
    typer.Argument(metavar="RUN", help="A run directory of `analyze`.", show_default=False),
]
Written = Annotated[Path, typer.Argument(metavar="RUN", help="Run directory to rewrite.")]
Audited = Annotated[
    Path,
    typer.Argument(help="A run directory with an audit, or an audit.json.", show_default=False),
]
Baseline = Annotated[
    Path | None,
    typer.Option(
        "--baseline",
        metavar="BASE",
        help="A run or audit.json to compare with. [default: none]",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Run directory to write, also at an address such as s3://bucket/run. [default: "
        "costaudit-NAME, after the log; verbs that only read keep no run directory]",
    ),
]
Source = Annotated[
    str,
    typer.Option(
        "--source",
        metavar="NAME",
        help="Log source, instead of detecting it; also a class: file.py:Class.",
    ),
]
Mapping = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="[PATTERN=]FILE",
        help="TOML file that maps your fields to ours, for the files that match the pattern. "
        "May be repeated. [default: none]",
    ),
]
Since = Annotated[
    str,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Leave out earlier calls: ISO 8601, UTC. [default: none]",
    ),
]
Until = Annotated[
    str,
    typer.Option(
        "--until",
        metavar="TIME",
        help="Leave out calls at or after this time: ISO 8601, UTC. [default: none]",
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="FIELD=VALUE",
        help="Keep only these rows; != leaves them out. [default: all rows]",
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Fail on the first line that can't be read.")
]
NoDedupe = Annotated[
    bool, typer.Option("--no-dedupe", help="Keep every row, including repeated records of a call.")
]
Redact = Annotated[
    str,
    typer.Option(
        "--redact",
        metavar="none|hash|mask",
        help="hash: store no texts, so only identical questions can be found. mask: store texts "
        "without addresses, card, phone and account numbers.",
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="Where to read and to embed: local (one process), pool (one per processor), ray, or "
        "ray://HOST:10001, a cluster.",
    ),
]
Prices = Annotated[
    Path | None,
    typer.Option(
        "--prices",
        metavar="FILE",
        help="TOML file with your own rates, in USD per million tokens. [default: list prices]",
    ),
]
CostMode = Annotated[
    str,
    typer.Option(
        "--cost-mode",
        metavar="auto|logged|recomputed",
        help="Which cost counts: the log's own cost, or tokens times list price.",
    ),
]
Invoice = Annotated[
    str,
    typer.Option(
        "--invoice-usd",
        metavar="USD",
        help="Total of the bill for this period, in US dollars. [default: not compared]",
    ),
]
InvoiceFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--invoice",
        metavar="FILE",
        help="A provider's cost or usage report, compared with the log per model and day. "
        "Repeat it for several files. [default: none]",
    ),
]
InvoiceRates = Annotated[
    list[str] | None,
    typer.Option(
        "--invoice-rate",
        metavar="CUR=USD",
        help="Dollars for a unit of the invoice's currency, such as EUR=1.08. May be "
        "repeated. [default: none]",
    ),
]
Embedder = Annotated[
    str,
    typer.Option(
        "--embedder",
        metavar="NAME",
        help="minilm, fast, mpnet, a hub name, a folder or a class: file.py:Class.",
    ),
]
Thresholds = Annotated[
    str,
    typer.Option(
        "--thresholds",
        metavar="FROM:TO:STEP",
        help="Similarities to try; also a list, or on a product's scale, such as redis:0.1.",
    ),
]
SCOPE = "tenant,endpoint,model,system,tools"  # the default
Scope = Annotated[
    str,
    typer.Option(
        "--scope",
        metavar="FIELD,...",
        help="Fields that must be equal to share an answer: tenant, user, endpoint, model, "
        "provider, system, system_raw, tools.",
    ),
]
Key = Annotated[
    str,
    typer.Option(
        "--key",
        metavar="last_user|conversation|full|prompt",
        help="What is compared: the last user message, the same with equal history, all "
        "messages, or the whole prompt with the system text.",
    ),
]
Ttl = Annotated[
    str,
    typer.Option(
        "--ttl", metavar="TIME", help="Lifetime of entries, such as 30m or 24h. [default: no limit]"
    ),
]
TtlKind = Annotated[
    str,
    typer.Option(
        "--ttl-kind",
        metavar="fixed|sliding",
        help="fixed: from the insertion on. sliding: each hit renews the entry.",
    ),
]
MaxEntries = Annotated[
    int | None,
    typer.Option(
        "--max-entries", metavar="N", help="Most entries that a scope may hold. [default: no limit]"
    ),
]
Eviction = Annotated[
    str, typer.Option("--eviction", metavar="lru|lfu|fifo", help="Which entry a full cache evicts.")
]
VisibleAfter = Annotated[
    str,
    typer.Option(
        "--visible-after",
        metavar="response|request",
        help="When an entry can be served: once its answer exists, or immediately.",
    ),
]
Guard = Annotated[
    str,
    typer.Option(
        "--guard",
        metavar="NAME,...",
        help="Refuse hits if the questions differ in these: number, date, negation, ...; or all. "
        "[default: none]",
    ),
]
MaxWrong = Annotated[
    str,
    typer.Option(
        "--max-wrong",
        metavar="SHARE",
        help="Most wrong answers, as a share of all requests (upper 95% bound).",
    ),
]
Effort = Annotated[
    list[str] | None,
    typer.Option(
        "--effort-usd",
        metavar="LEVER=USD",
        help="Your own cost of a lever, in US dollars. May be repeated. [default: estimated]",
    ),
]
Levers = Annotated[
    list[str] | None,
    typer.Option(
        "--lever",
        metavar="NAME",
        help="Add a lever of your own: file.py:Class, module:Class or an installed name. "
        "[default: none]",
    ),
]
Commitments = Annotated[
    Path | None,
    typer.Option(
        "--commitments",
        metavar="FILE",
        help="Offers of capacity that is bought for a month, or of seats, as TOML: see "
        "docs/numbers.md. [default: what Azure publishes]",
    ),
]
Horizon = Annotated[
    int,
    typer.Option(
        "--horizon",
        metavar="MONTHS",
        min=1,
        help="Months in which a step must pay for its effort.",
    ),
]
Order = Annotated[
    str,
    typer.Option(
        "--order",
        metavar="NAME",
        help="Order of the plan: npv, payback, saving, or levers separated by commas.",
    ),
]
StoreUsd = Annotated[
    str,
    typer.Option(
        "--store-usd",
        metavar="USD",
        help="Cost of the cache's store, in US dollars a month. [default: the node's price]",
    ),
]
Node = Annotated[
    str,
    typer.Option(
        "--node",
        metavar="NAME",
        help="Node of the store, such as cache.r7g.large. [default: the smallest that fits]",
    ),
]
EmbedUsd = Annotated[
    str,
    typer.Option(
        "--embed-usd",
        metavar="USD",
        help="Cost of embedding, in US dollars a month. [default: the embedder's price]",
    ),
]
Budget = Annotated[
    str,
    typer.Option(
        "--budget",
        metavar="TIME",
        help="Aim to be done within this time, such as 10m: if vectors of all questions take "
        "longer, simulate identical ones and embed a sample of the others. [default: no limit]",
    ),
]
ShowPrompts = Annotated[
    bool,
    typer.Option("--show-prompts", help="Put texts of prompts and answers into the report."),
]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME",
        help="terminal, html, md, json, csv or focus; also a class: file.py:Class.",
    ),
]
TableFormat = Annotated[
    str, typer.Option("--format", metavar="NAME", help="terminal, md, csv or json.")
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of every random draw.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="Plain text; NO_COLOR does the same.")]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="TOML file in which a table per verb sets the defaults of its options. "
        "[default: none]",
        is_eager=True,
        callback=read_config,
    ),
]
