"""Find the English sentences of audits in the modules that write them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import costaudit

PACKAGE = Path(costaudit.__file__).parent

MODULES = (
    "answers/recommend.py",
    "answers/staleness.py",
    "contracts/audit.py",
    "costing/*.py",
    "costing/months/*.py",
    "costing/plans/*.py",
    "costing/prices/names.py",
    "costing/prices/price_table.py",
    "costing/prices/sanity.py",
    "costing/prices/second_table.py",
    "costing/prices/unused.py",
    "costing/prices/wrong_costs.py",
    "ingest/assembly/assemble.py",
    "ingest/assembly/quality.py",
    "ingest/calls/pair.py",
    "ingest/mapping/columns.py",
    "levers/*.py",
    "pipeline/analyze.py",
    "pipeline/replaying/*.py",
    "pipeline/routing/route.py",
    "pipeline/semantic/judging.py",
    "pipeline/sessions/*.py",
    "pipeline/twins.py",
    "replay/section.py",
    "simulate/prefix/advice/facts.py",
    "simulate/prefix/advice/template_facts.py",
    "simulate/prefix/breakers/*.py",
    "simulate/prefix/rules/rules.py",
    "simulate/prefix/sessions/*.py",
    "simulate/semantic/inverted_file.py",
)

# Texts in those modules that no reader of a report sees: column names, patterns, code.
NOT_SEEN = re.compile(
    r"--\S+, --\S+.*|\(\?i\).*|import math.*|.*\.toml|costaudit audit|not a log|"
    r", counted as |, the output was a placeholder|write other|over tokens|"
    r"genai-prices \{a\}|\S+ Caching|without cache detail|"
    r"No session is|\{a\} sessions are|user data|real-time data",
    re.DOTALL,
)

# Parts of sentences, each with whole sentences that contain it.
PARTS: dict[str, tuple[str, ...]] = {
    "with the id of another": ("with the id of another (1,007)",),
    "with the start, prompt and tokens of another": (
        "with the start, prompt and tokens of another (7)",
    ),
    "in a session that repeats another one's history": (
        "in a session that repeats another one's history (7)",
    ),
    "of a span that holds calls": (
        "Why, and how many: of a span that holds calls (7); with the id of another (2). Each is in "
        "skips.parquet with the call that it repeats.",
    ),
    "of another instrument": ("of another instrument (7)",),
    "In how many calls: {a}. They are missing, not 0: no figure includes what they cost.{b}": (
        "In how many calls: cache_read (1,007), output (2). They are missing, not 0: no figure "
        "includes what they cost.",
        "In how many calls: cache_read (7). They are missing, not 0: no figure includes what they "
        "cost. Input whose cache reads can't be read is priced as if none of it was cached.",
    ),
    "does not include": (
        "7 calls in a.jsonl: $1.0000 as read, where the input does not include them; $2.0000 "
        "otherwise.",
    ),
    "{a} in {b}: ${c} as read, where the input {d} them; ${e} otherwise.": (
        "1,007 calls in my log.jsonl: $1.0000 as read, where the input includes them; $2.0000 "
        "otherwise.",
        "1 call in a.jsonl: $1.0000 as read, where the input includes them; $2.0000 otherwise.",
        "1 call in a.jsonl: $1.0000 as read, where the input does not include them; $2.0000 "
        "otherwise.",
    ),
    "{a} {b} answered without token counts.": (
        "1 request was answered without token counts.",
        "1,007 requests were answered without token counts.",
    ),
    "The log has {a} of {b} hours that usually have requests.": (
        "The log has a gap of 9 hours that usually have requests.",
        "The log has 3 gaps of 1,009 hours that usually have requests.",
    ),
    "Spend {a} by {b} a week.": ("Spend grows by 7% a week.", "Spend falls by 7% a week."),
    "With fewer than {a} requests or {b} days, the daily and weekly pattern can't be seen. {c}": (
        "With fewer than 1,000 requests or 7 days, the daily and weekly pattern can't be seen. A "
        "month is a bold "
        "extrapolation.",
        "With fewer than 1,000 requests or 7 days, the daily and weekly pattern can't be seen.",
    ),
    "Not fully in the spend: {a} of {b}.{c}": (
        "Not fully in the spend: 7 requests of gpt-9, (no model).",
        "Not fully in the spend: 1 request of gpt-9. Billed units without a price: searches.",
    ),
    "to have no traffic, as the nights have none": (
        "Saturday and Sunday are not in the log; they are taken to have no traffic, as the nights "
        "have none. The range spans both readings.",
    ),
    "to be like the days of the week, whose nights have traffic too": (
        "Saturday and Sunday are not in the log; they are taken to be like the days of the week, "
        "whose nights have traffic too. The range spans both readings.",
    ),
    "Saturday and Sunday are not in the log; they are taken {a}. The range spans both readings.": (
        "The log covers 1.0 days of usual traffic. A month needs 2: the figures are those of the "
        "log.",
        "With fewer than 1,000 requests or 7 days, the daily and weekly pattern can't be seen. The "
        "log covers 1.0 "
        "days of usual traffic. A month needs 2: the figures are those of the log.",
    ),
    "{a} not in the log: taken to be like the other days.": (
        "Sunday is not in the log: taken to be like the other days.",
        "Monday, Tuesday and Sunday are not in the log: taken to be like the other days.",
    ),
    "{a} and {b} are": (
        "Saturday and Monday are not in the log: taken to be like the other days.",
    ),
    "the 1 day": ("Over the 1 day that both cover, the invoice is $1.00, the log $2.00.",),
    "the {a} days": ("Over the 1,007 days that both cover, the invoice is $1.00, the log $2.00.",),
    "By tokens, over {a} that both cover; the report has no dollars.": (
        "By tokens, over the 7 days that both cover; the report has no dollars.",
        "By tokens, over the 1 day that both cover; the report has no dollars.",
    ),
    "Over {a} that both cover, the invoice is ${b}, the log ${c}.": (
        "Over the 7 days that both cover, the invoice is $1,001.00, the log $2.00.",
    ),
    "After the steps before it, it costs ${a} a month more than it saves; running it costs ${b} a "
    "month.{c}": (
        "After the steps before it, it costs $1.00 a month more than it saves; running it costs "
        "$2.00 a month.",
        "After the steps before it, it costs $1.00 a month more than it saves; running it costs "
        "$2.00 a month. It pays "
        "from 1,000 requests a month.",
    ),
    "{a} Name one that did with --baseline.": (
        "No baseline was given. Name one that did with --baseline.",
        "The baseline cost nothing. Name one that did with --baseline.",
    ),
    " in the {a}": (
        "Changing number in the system prompt: /v1/chat",
        "Changing number in the tool definitions: 3 endpoints",
        "Changing number in the history: My chat route",
        "Changing number in the examples: /v1/chat",
        "Changing number in the documents: /v1/chat",
    ),
    ", and in {a} other place{b}": (
        "Serialise with sorted keys. It is at block 1, character 212, and in 1 other place.",
        "Serialise with sorted keys. It is at block 1, character 212, and in 3 other places.",
    ),
    " It is at {a}{b}.": ("Serialise with sorted keys. It is at block 1, character 212.",),
    "the log explains {a} {b} than the invoice": (
        "the log explains 12% less than the invoice",
        "the log explains 12% more than the invoice",
    ),
    "a month now": (
        "$1.00 a month now, $0.50 after: 50% less, simulated, from 7 requests over 30.0 days, "
        "98.0% of tokens priced.",
    ),
    "with every step": (
        "$1.00 in this log, $0.50 with every step: 50% less ($0.30 to $0.60 saved), simulated, "
        "from 1 request over 2 hours, all tokens priced.",
    ),
    " ({a} to {b} saved)": (
        "$1.00 a month now, $0.50 after: 50% less ($0.30 to $0.60 saved), measured, from 7 "
        "requests over an unknown time, all tokens priced.",
    ),
    "{a} of tokens priced": (
        "$1.00 in this log, $0.50 with every step: 50% less, estimated, from 1 request over 2 "
        "hours, 12.0% of tokens priced.",
    ),
    "all tokens priced": (
        "$1.00 in this log, $0.50 with every step: 50% less, estimated, from 7 requests over 2 "
        "hours, all tokens priced.",
    ),
    "middle of {low}–{high} h, a published range ({row})": (
        "middle of 40–60 h, a published range (Semantic Caching)",
    ),
    "caching exists already: {a} to repair, {b} h each": (
        "caching exists already: 1 place to repair, 4 h each",
        "caching exists already: 3 places to repair, 4 h each",
    ),
    "a hundredth of it": ("output 1 is far from the list price 100 (a hundredth of it)",),
    "dollars per million, times a million?": (
        "output 1 is far from the list price 100 (dollars per million, times a million?)",
    ),
    "5-minute write": ("5-minute write 1 is far from the list price 100",),
    "1-hour write": ("1-hour write 1 is far from the list price 100 (dollars per token?)",),
    "other write": ("other write 1 is far from the list price 100",),
    "the list price {a}{b}": ("input 1 is far from the list price 100",),
    "{a} {b} is far from {c}": (
        "input 1 is far from the list price 100 (dollars per thousand tokens?)",
    ),
    "Calls of {a}, {b}: in dense bursts (at least {c} calls in the mean active minute, active in "
    "at most {d} of the minutes), never streamed, continued or given tools. At batch rates, "
    "without reads from the prompt cache.": (
        "Calls of /a, /b and 3 more, found by their timing: in dense bursts (at least 10 calls in "
        "the mean active minute, active in at most 5% of the minutes), never streamed, continued "
        "or given tools. At batch rates, without reads from the prompt cache.",
    ),
    "Calls of {a}, {b}. At batch rates, without reads from the prompt cache.": (
        "Calls of /nightly, named by you. At batch rates, without reads from the prompt cache.",
    ),
    " and {a} more": ("Take out a, b and 7 more, or let the model look tools up when it needs "
                      "them (deferred loading, where the provider has it).",),
    "The file holds": (
        "The file holds 7 daily totals of usage or costs, not calls. Compare them with a log of "
        "calls: costaudit spend LOG --invoice FILE.",
    ),
    "All {a} files hold": ("All 2 files hold 7 daily totals of usage or costs, not calls.",),
    "{a} daily totals of usage or costs, not calls.": (
        "The file holds 1,007 daily totals of usage or costs, not calls.",
    ),
    "carry no prompt: only their counters are reported": (
        "1,007 requests carry no prompt: only their counters are reported.",
    ),
    "carry no prompt and were billed cache reads": (
        "7 requests carry no prompt and were billed cache reads.",
    ),
    "carry no time: entries do not expire for them, and they come last": (
        "7 requests carry no time: entries do not expire for them, and they come last.",
    ),
    "carry no latency: what they write can be read at once": (
        "7 requests carry no latency: what they write can be read at once.",
    ),
    "show no marker but billed cache tokens, which show where it was": (
        "7 requests show no marker but billed cache tokens, which show where it was.",
    ),
    "lack their system prompt and tools: the counters show how long that head is": (
        "7 requests lack their system prompt and tools: the counters show how long that head is.",
    ),
    "have a prompt that the exporter cut: they may share more or less": (
        "7 requests have a prompt that the exporter cut: they may share more or less.",
    ),
    "after the tools": (
        "after the tools (1h), after the system prompt (5m)",
        "after the history (1h)",
    ),
    "after the last message": ("after the last message (5m)",),
    "the tools": ("after block 3 of the tools (5m)",),
    "the system prompt": ("after block 3 of the system prompt (5m)",),
    "the examples": ("after block 3 of the examples (5m), the provider's own at the end",),
    "block {a} of {b}": ("after block 3 of the documents (5m)",),
    "{a}, kept alive by {b} ping{c}": (
        "5m, kept alive by 1 ping",
        "5m, kept alive by 3 pings",
    ),
    ", {a} are unknown": (
        "Each of the 7 hits was judged by the two logged answers of its own pair: 5 look right, 1 "
        "wrong, 1 are unknown. The share is an estimate with its 95% interval.",
    ),
    "Each of the {a} hits was judged by the two logged answers of its own pair: {b} look right, "
    "{c} wrong{d}. The share is an estimate with its 95% interval.": (
        "Each of the 1,007 hits was judged by the two logged answers of its own pair: 5 look "
        "right, 1 wrong. The share is an estimate with its 95% interval.",
    ),
    "the log's answers at {a}": (),  # a judge's name
    "visible after the {a}": ("visible after the request", "visible after the response"),
    "belong to no session: they name none, or reached no model": (
        "7 calls belong to no session: they name none, or reached no model.",
    ),
    "carry no prompt: what they share is read from their counters": (
        "7 calls carry no prompt: what they share is read from their counters.",
    ),
    "do not say what they read from the cache": (
        "1,007 calls do not say what they read from the cache.",
    ),
    "have no known price and add nothing to the dollars": (
        "7 calls have no known price and add nothing to the dollars.",
    ),
    "carry no time: their pauses are unknown": (
        "7 calls carry no time: their pauses are unknown.",
    ),
    "Exact matching only: {a}": (
        "Exact matching only: no threshold with at most 1% wrong answers earns more by its right "
        "hits.",
    ),
    "no threshold with at most {a} wrong answers earns more by its right hits.": (),
    "at every threshold tried, wrong answers may reach {a} of all requests or more, above the "
    "limit of {b}.": (
        "Exact matching only: at every threshold tried, wrong answers may reach 2.0% of all "
        "requests or more, above the limit of 1%.",
    ),
}  # fmt: skip


def sentences() -> Iterator[tuple[str, str]]:
    """Yield each text of at least two words in those modules, with its file and line."""
    for pattern in MODULES:
        for path in sorted(PACKAGE.glob(pattern)):
            tree = ast.parse(path.read_text("utf-8"))
            for line, text in _texts(tree, _apart(tree)):
                words = re.findall("[A-Za-z]{2,}", re.sub(r"\{\w+\}", "", text))
                if len(words) >= 2 and " " in text.strip() and not NOT_SEEN.fullmatch(text):
                    yield text, f"{path.relative_to(PACKAGE)}:{line}"


def filled(text: str) -> str:
    """Return a text with a number in each of its placeholders."""
    return re.sub(r"\{\w+\}", "7", text).strip()


def _apart(tree: ast.Module) -> set[int]:
    """Return the ids of nodes without audit sentences: docstrings, errors, annotations."""
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            found.update(id(one) for one in node.body[:1] if isinstance(one, ast.Expr))
        if isinstance(node, ast.FunctionDef):
            found.update(id(one) for one in (node.args, node.returns) if one is not None)
        if isinstance(node, ast.Raise | ast.Assert):
            found.add(id(node))
        if isinstance(node, ast.AnnAssign):
            found.add(id(node.annotation))
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name.endswith("Error") or name in (
                "compile",
                "stage",
                "contains",
                "ends_with",
                "lit",
            ):
                found.add(id(node))
    return found


def _texts(node: ast.AST, apart: set[int]) -> Iterator[tuple[int, str]]:
    if id(node) in apart:
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.lineno, node.value
    elif isinstance(node, ast.JoinedStr):
        letters = iter("abcdefghijklmnop")
        parts = (
            str(one.value) if isinstance(one, ast.Constant) else f"{{{next(letters)}}}"
            for one in node.values
        )
        yield node.lineno, "".join(parts)
    else:
        for one in ast.iter_child_nodes(node):
            yield from _texts(one, apart)
