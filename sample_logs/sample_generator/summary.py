"""What the sample logs hold, counted, as the tables of the README."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

Record = dict[str, Any]
Row = dict[str, Any]


def table(header: list[str], rows: Iterable[list[str]]) -> str:
    """Write a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _number(value: int) -> str:
    return f"{value:,}"


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.1%})"


def _question(record: Record) -> str:
    asked = [m["content"] for m in record["request"]["messages"] if m["role"] == "user"]
    return str(asked[-1])


def _answer(record: Record) -> str:
    choices = (record["response"] or {}).get("choices")
    return (choices[0]["message"]["content"] or "") if choices else ""


def _is_follow_up(record: Record) -> bool:
    return any(message["role"] == "assistant" for message in record["request"]["messages"])


def chatbot_totals(records: list[Record], truth: list[Row]) -> str:
    """Count the chatbot's log as a whole."""
    whole = len(records)
    outcomes = Counter(row["outcome"] for row in truth)
    kinds = Counter(row["kind"] for row in truth)
    languages = Counter(row["language"] for row in truth)
    intents = {row["intent"] for row in truth if row["kind"] in ("faq", "mid")}
    answers = {_answer(record) for record in records} - {""}
    rows = [
        ["lines (attempts of calls)", _number(whole)],
        ["conversations", _number(len({r["conversation_id"] for r in records}))],
        ["shops, users", f"{len({r['tenant'] for r in records})}, "
         f"{len({r['user'] for r in records}):,}"],
        ["answered with text", _number(outcomes["ok"])],
        ["answered with a tool call", _number(outcomes["tool_call"])],
        ["cut at max_tokens", _number(outcomes["truncated"])],
        ["served by the gateway's own cache", _share(outcomes["gateway_hit"], whole)],
        ["failed attempts (429, 500, 504)", _share(outcomes["failed"], whole)],
        ["second and third attempts", _number(sum(r["attempt"] > 1 for r in records))],
        ["questions on 25 frequent topics", _share(kinds["faq"], whole)],
        [f"questions on {len(intents) - 25} less frequent topics", _share(kinds["mid"], whole)],
        ["one-off questions", _share(kinds["tail"], whole)],
        ["short follow-up questions", _share(kinds["more"], whole)],
        ["requests that carry earlier turns", _share(sum(map(_is_follow_up, records)), whole)],
        ["questions with a near-miss that has another answer",
         _share(sum(row["is_trap"] for row in truth), whole)],
        ["English, Spanish", f"{languages['en']:,}, {languages['es']:,}"],
        ["distinct last questions", _number(len(set(map(_question, records))))],
        ["distinct answers", _number(len(answers))],
        ["logged cost, USD", f"{sum(record['cost_usd'] for record in records):.2f}"],
    ]  # fmt: skip
    return table(["chatbot", "count"], rows)


def chatbot_endpoints(records: list[Record]) -> str:
    """Count the chatbot's log by endpoint, with the tokens that the provider had cached."""
    rows = []
    for endpoint in sorted({record["endpoint"] for record in records}):
        own = [record for record in records if record["endpoint"] == endpoint]
        billed = [r["response"]["usage"] for r in own if _answered_by_provider(r)]
        prompt = sum(usage["prompt_tokens"] for usage in billed)
        cached = sum(usage["prompt_tokens_details"]["cached_tokens"] for usage in billed)
        models = ", ".join(sorted({record["request"]["model"] for record in own}))
        tools = str(len(own[0]["request"]["tools"]))
        mean = _number(round(prompt / len(billed)))
        rows.append(
            [f"`{endpoint}`", _number(len(own)), models, tools, mean, f"{cached / prompt:.1%}"]
        )
    header = ["endpoint", "lines", "models", "tools", "mean prompt tokens", "billed as cached"]
    return table(header, rows)


def _answered_by_provider(record: Record) -> bool:
    return (record["status"], record["cache_status"]) == (200, "MISS")


def agent_totals(records: list[Record]) -> str:
    """Count the agent's log by model."""
    rows = []
    for model in sorted({record["request"]["model"] for record in records}):
        own = [record for record in records if record["request"]["model"] == model]
        usages = [r["response"]["usage"] for r in own if r["status"] == 200]
        long_writes = sum(u["cache_creation"]["ephemeral_1h_input_tokens"] for u in usages)
        rows.append(
            [
                model,
                _number(len(own)),
                _number(len({record["session_id"] for record in own})),
                *(
                    _number(sum(usage[name] for usage in usages))
                    for name in ("input_tokens", "cache_read_input_tokens")
                ),
                _number(sum(u["cache_creation_input_tokens"] for u in usages) - long_writes),
                _number(long_writes),
                _number(sum(usage["output_tokens"] for usage in usages)),
            ]
        )
    header = ["model", "lines", "sessions", "input", "cache read", "write 5m", "write 1h", "output"]
    return table(header, rows)


def broken_fates(expected: list[Row]) -> str:
    """List the broken file's lines with the fate that each deserves."""
    rows = [
        [str(row["line"]), row["what"], row["fate"], row["reason"].replace("|", " or ")]
        for row in expected
    ]
    return table(["line", "what it is", "fate", "reason"], rows)


def between_markers(page: str, name: str, body: str) -> str:
    """Replace what stands between a page's two markers of this name."""
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, _, rest = page.partition(start)
    _, _, after = rest.partition(end)
    return f"{before}{start}{body}\n{end}{after}"
