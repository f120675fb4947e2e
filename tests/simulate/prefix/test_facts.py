"""Prefix breakers are found, located and counted; the best markers are the cheapest."""

import itertools
import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings

from costaudit.contracts.policies import PrefixPolicy
from costaudit.contracts.prefix import BreakerKind
from costaudit.contracts.requests import INPUT_CLASSES, TOKEN_CLASSES
from costaudit.simulate.prefix.advice.facts import PrefixFacts, prefix_facts
from costaudit.simulate.prefix.advice.policy_run import Sent, simulate_prefix
from costaudit.simulate.prefix.breakers.breakers import MENDS
from tests.simulate.prefix.oracle import Call, anthropic
from tests.simulate.prefix.small_logs import FAST, RULES, SONNET, breaker, facts, pricing
from tests.simulate.prefix.strategies import tables, traffic
from tests.simulate.traffic import Log


def chat(
    system: Callable[[int], str], count: int = 40, gap: float = 10.0, **fields: Any
) -> PrefixFacts:
    """Send one question after another below a system prompt of 3,000 tokens; return the facts."""
    log = Log()
    for number in range(count):
        own = {name: value(number) if callable(value) else value for name, value in fields.items()}
        log.call(
            [("system", system(number), 3000, "5m"), ("user", f"{number}: what now?", 20)],
            number * gap,
            **FAST,
            **own,
        )
    return facts(log)


def test_prompts_are_mended_only_where_that_pays() -> None:
    """Two alternating long texts are both cached; caching only their shared part saves less."""
    log = Log()
    for number in range(40):
        half = " ".join(f"{'left' if number % 2 else 'right'}{i}" for i in range(400))
        stamp = f"Now: 2026-11-02T10:00:{number:02d}Z. "
        for endpoint, system in (("/in-turn", f"{RULES} {half}"), ("/stamped", stamp + RULES)):
            log.call(
                [("system", system, 3000, "5m"), ("user", f"{number}: what now?", 20)],
                number * 10.0,
                endpoint=endpoint,
                **FAST,
            )
    found = facts(log)
    in_turn = (log.tables()[0]["endpoint"] == "/in-turn").to_numpy()
    moved = found.prompts.billed - found.mended.billed
    assert not moved[in_turn].any()
    assert (moved[~in_turn] > 0).sum() >= 39
    assert found.mended.segment_tokens[:2].tolist() == found.prompts.segment_tokens[:2].tolist()
    path, own = found.mended.node, found.prompts.node
    for left, right in itertools.combinations(np.flatnonzero(in_turn), 2):
        sent = own[found.prompts.offsets[left]] == own[found.prompts.offsets[right]]
        assert sent == (path[found.mended.offsets[left]] == path[found.mended.offsets[right]])
    stamped = [row for row in found.templates if row.endpoint == "/stamped"]
    assert [row.best_markers for row in stamped] == ["as now"]
    # In turn: two texts, each written once and read 19 times. Stamped: one, except for its time.
    written, read = 3_000 * 3.75 / 1e6, 3_000 * 0.3 / 1e6
    asked = 80 * 20 * 3 / 1e6
    assert best_cost(found, *log.tables()) == pytest.approx(
        3 * written + (38 + 39) * read + asked, rel=0.02
    )


MOVING: list[tuple[BreakerKind, Callable[[int], str]]] = [
    ("timestamp", lambda n: f"Now: 2026-11-02T10:{n // 60:02d}:{n % 60:02d}Z. {RULES}"),
    (
        "date",
        lambda n: f"Today is {n % 28 + 1} {'October' if n < 28 else 'November'} 2026. {RULES}",
    ),
    ("uuid", lambda n: f"Trace {random.Random(n).getrandbits(64):016x}. {RULES}"),
    ("counter", lambda n: f"You have {9000 - 37 * n} words left. {RULES}"),
    ("documents", lambda n: " ".join(f"fact{n}-{i}" for i in range(60)) + RULES),
    ("environment", lambda n: f"Git branch: feature/{'ghijklmnop'[n % 10] * (n + 1)} {RULES}"),
    ("text", lambda n: f"Your mood is {'ghijklmnop'[n % 10] * (n + 1)} today. {RULES}"),
]


@pytest.mark.parametrize(("kind", "system"), MOVING, ids=[kind for kind, _ in MOVING])
def test_a_moving_part_at_the_top_is_found_and_costs_what_stands_behind_it(
    kind: BreakerKind, system: Callable[[int], str]
) -> None:
    found = breaker(chat(system), kind)
    assert found.where.startswith("system, block 1, character ")
    assert found.requests == 39  # the first request has nothing to read
    text = system(1)
    behind = text.index("rule0") / len(text)  # share of the 3,000 tokens before the unchanged part
    assert found.lost_tokens == pytest.approx(39 * 3000 * (1 - behind), rel=0.08)
    assert found.mend == MENDS[kind]
    assert not found.provider_side


def test_the_timestamp_is_shown_where_it_stands_and_hidden_where_it_must_be() -> None:
    found = breaker(chat(MOVING[0][1]), "timestamp")
    # "Now: 2026-11-02T10:" has 19 characters, followed by the minute and the "0" of the second.
    assert found.where.startswith("system, block 1, character 24 of ")
    assert found.context.startswith("Now: ‹2026-11-02T10:00:01Z›. rule0")
    assert found.redacted == "‹timestamp, 20 characters›"
    # It was sent with a marker, so the tokens were billed as five-minute writes.
    assert found.lost.drop("tokens").rows() == [(0, "cache_write_5m_tokens", "cache_read_tokens")]
    assert found.lost["tokens"].sum() == found.lost_tokens


LINES = "\n".join(f"Rule {number}: be kind, be brief, be right." for number in range(200))


@pytest.mark.parametrize("sep", ["\n", ". "])
def test_parts_that_move_at_both_ends_are_blamed_on_the_first(sep: str) -> None:
    rules = LINES.replace(".\n", sep)
    found = chat(
        lambda n: f"Your guest is {'GHIJKLMNOP'[n % 10] * (n + 3)}{sep}{rules}{sep}Turn {n}"
    )
    assert breaker(found, "text").lost_tokens == pytest.approx(39 * 3000, rel=0.05)
    found = chat(lambda n: f"{2000 - n} words left{sep}{rules}{sep}At 2026-11-02T10:{n:02d}:00Z")
    assert breaker(found, "counter").lost_tokens == pytest.approx(39 * 3000, rel=0.05)


def test_a_user_s_name_is_found_by_who_sends_it() -> None:
    found = chat(
        lambda n: f"You talk to {'ABCDEFGH'[n % 8] * (3 + n % 8)}. {RULES}",
        user=lambda n: f"u{n % 8}",
    )
    assert breaker(found, "user").requests == 7  # each user's first request, except the very first


def tools_chat(
    tools: Callable[[int], list[dict[str, Any]]], dump: Callable[..., str]
) -> PrefixFacts:
    log = Log()
    for number in range(30):
        parts: list[tuple[Any, ...]] = [
            ("tools", dump(tool, number), 500) for tool in tools(number)
        ]
        parts += [("system", RULES, 2000, "5m"), ("user", f"{number}: go on", 20)]
        log.call(parts, number * 10.0, **FAST)
    return facts(log)


def tool(name: str, text: str = "") -> dict[str, Any]:
    return {"name": name, "description": f"{name} {text}" + "does things. " * 30}


def plain(value: Any, _: int) -> str:
    return json.dumps(value)


def test_tools_in_changing_order() -> None:
    orders = list(itertools.permutations(["ask", "buy", "call", "draw"]))
    found = tools_chat(lambda n: [tool(name) for name in orders[n % 24]], plain)
    order = breaker(found, "tool_order")
    assert order.where == "tools"
    # 24 different orders, then six repeats; the first request is cold.
    assert order.requests == 23


def test_tools_with_keys_in_changing_order() -> None:
    ask = tool("ask") | {letter: letter * 9 for letter in "uvwxyz"}
    orders = list(itertools.permutations(ask))

    def shuffled(value: dict[str, Any], number: int) -> str:
        return json.dumps({key: value[key] for key in orders[number * 1009]})

    found = tools_chat(lambda _: [ask], shuffled)
    assert breaker(found, "json_key_order").requests == 29


def test_a_tool_s_description_that_changes() -> None:
    found = tools_chat(lambda n: [tool("ask", f"({n} records) ")], plain)
    assert breaker(found, "tool_changed").requests == 29


def test_white_space_that_changes() -> None:
    found = chat(lambda n: "Be kind.\n" + " " * (n % 20) + "Be brief. " + RULES)
    assert breaker(found, "whitespace").requests == 19


def test_a_pause_longer_than_the_lifetime() -> None:
    found = breaker(chat(lambda _: RULES, count=5, gap=400.0), "ttl_gap")
    assert (found.requests, found.lost_tokens) == (4, 4 * 3000)
    assert not found.provider_side  # the application could request an hour


def test_a_pause_longer_than_any_lifetime_on_offer_is_the_provider_s() -> None:
    found = breaker(chat(lambda _: RULES, count=5, gap=4000.0), "lifetime")
    assert (found.requests, found.lost_tokens) == (4, 4 * 3000)
    assert found.provider_side
    unoffered = chat(lambda _: RULES, count=5, gap=400.0, provider="openai", model="gpt-4o")
    assert breaker(unoffered, "lifetime").provider_side


def test_requests_sent_before_the_first_answer_begins() -> None:
    found = breaker(chat(lambda _: RULES, count=10, gap=0.001), "parallel")
    # Requests start at 0, 1, ... 9 ms; the first answer begins at 100 ms.
    assert (found.requests, found.lost_tokens) == (9, 9 * 3000)


def test_a_prefix_below_the_minimum() -> None:
    found = breaker(chat(lambda _: RULES, model="claude-haiku-4-5"), "below_minimum")
    assert (found.requests, found.lost_tokens) == (39, 39 * 3000)  # cached from 4,096 tokens on


def marked(
    marker_on: str | None, provider: str = "anthropic", model: str = "claude-sonnet-4-5"
) -> PrefixFacts:
    log = Log()
    for number in range(20):
        parts = [
            ("system", RULES, 3000, "5m" if marker_on == "system" else None),
            ("user", f"{number}: what now?", 20, "5m" if marker_on == "user" else None),
        ]
        log.call(parts, number * 10.0, provider=provider, model=model, **FAST)
    return facts(log)


def test_a_marker_behind_what_changes() -> None:
    found = marked("user")
    placement = breaker(found, "marker_placement")
    assert (placement.requests, placement.lost_tokens) == (19, 19 * 3000)
    written = breaker(found, "write_only")
    # The first request's 3,020, and the part of the others not blamed on the misplaced marker.
    lost = 3020 + 19 * 20
    assert written.lost.rows() == [(0, "cache_write_5m_tokens", "input_uncached_tokens", lost)]


def test_no_marker_at_all() -> None:
    assert breaker(marked(None), "no_markers").lost_tokens == 19 * 3000


def test_the_provider_s_own_breakpoint_behind_what_changes() -> None:
    found = breaker(marked(None, "openai", "gpt-5.6-sol"), "implicit_breakpoint")
    assert found.lost_tokens == 19 * 3000


def test_a_search_that_ends_too_early() -> None:
    log = Log()
    talk: list[tuple[Any, ...]] = [("system", RULES, 3000), ("user", "first", 20, "5m")]
    log.call(talk, 0.0, **FAST)
    added = [("assistant", f"step {n}", 10) for n in range(25)]
    log.call([*[part[:3] for part in talk], *added, ("user", "last", 20, "5m")], 10.0, **FAST)
    assert breaker(facts(log), "lookback").lost_tokens == 3020


def test_history_that_is_cut_and_a_model_that_changes() -> None:
    log = Log()
    talk: list[tuple[Any, ...]] = [("system", RULES, 3000)]
    for turn in range(8):
        talk = [*talk, ("user", f"q{turn} " * 9, 100), ("assistant", f"a{turn} " * 9, 100)]
        kept = [talk[0], *talk[3:]] if turn == 5 else talk
        model = "claude-opus-4-8" if turn == 7 else "claude-sonnet-4-5"
        log.call(kept[:-1], turn * 10.0, conversation="c", model=model, **FAST)
        talk = kept
    found = facts(log)
    # Turn 5 keeps the system prompt and drops the oldest question and answer: of its 3,900
    # tokens, 3,000 are unchanged; turn 4 had 3,000 + 4 x 200 + 100 = 3,900.
    assert breaker(found, "history_rewritten").lost_tokens == 3900 - 3000
    # Turn 7 sends turn 6 (3,000 + 5 x 200 + 100 = 4,100 tokens) to another model.
    assert breaker(found, "model_switch").lost_tokens == 4100


def test_thinking_that_is_left_out_and_a_region_that_changes() -> None:
    log = Log()
    head: list[tuple[Any, ...]] = [("system", RULES, 3000), ("user", "why? " * 20, 100)]
    thought = ("assistant", "because " * 20, 400, None, "thinking")
    log.call([*head, thought, ("user", "and then? " * 20, 50)], 0.0, conversation="c", **FAST)
    rest = [("assistant", "so. " * 20, 60), ("user", "really? " * 20, 50)]
    log.call([*head, *rest], 10.0, conversation="c", **FAST)
    log.call([*head, *rest], 20.0, conversation="c", region="eu", **FAST)
    found = facts(log)
    # The second request could have read 3,210 tokens; only the 3,100 before the removed thinking
    # are read.
    assert breaker(found, "thinking_stripped").lost_tokens == 3210 - 3100
    assert breaker(found, "region_switch").lost_tokens == 3210


def test_an_image_that_changes() -> None:
    log = Log()
    for number in range(20):
        image = ("system", f"image {number} " * 40, 900, None, "image")
        log.call([image, ("system", RULES, 3000), ("user", f"{number}?", 20)], number * 9.0, **FAST)
    found = breaker(facts(log), "image")
    # The text after the image could have been read; the first request is cold.
    assert found.lost_tokens == pytest.approx(19 * 3000, rel=0.05)


def test_documents_before_the_question_are_a_part_of_their_own() -> None:
    log = Log()
    for number in range(10):
        context = ("user", f"found {number} " * 40, 700)
        log.call(
            [("system", RULES, 3000), context, ("user", f"{number}?", 20)], number * 9.0, **FAST
        )
    parts = {share.part: share.tokens for share in facts(log).templates[0].parts}
    assert parts == {"system": 30_000, "documents": 7000, "question": 200}


def test_examples_are_messages_that_all_share_and_at_which_none_ends() -> None:
    log = Log()
    for number in range(10):
        shots = [("user", "such as this? " * 20, 300), ("assistant", "so. " * 20, 200)]
        log.call(
            [("system", RULES, 3000), *shots, ("user", f"{number}?", 20)], number * 9.0, **FAST
        )
    row = facts(log).templates[0]
    assert {share.part: share.tokens for share in row.parts} == {
        "system": 30_000, "examples": 5000, "question": 200,
    }  # fmt: skip
    assert row.best_markers == "after the examples (5m)"


def test_the_marker_stands_before_the_first_block_that_changes() -> None:
    log = Log()
    for number in range(30):
        fact = "".join(random.Random(number).choices("ghijkl mnop", k=900))
        parts = [("system", RULES, 3000), ("system", fact, 200), ("user", f"{number}?", 20)]
        log.call(parts, number * 9.0, **FAST)
    row = facts(log).templates[0]
    assert row.best_markers == "after block 1 of the system prompt (5m)"
    assert row.snippet.splitlines()[-1] == (
        'system = marked(unmarked(system), 0, cache_control={"type": "ephemeral"})'
    )


def test_what_the_provider_did_not_read_is_not_the_application_s() -> None:
    log = Log()
    for number in range(30):
        read = 0 if number % 10 == 0 else 3000
        log.call(
            [("system", RULES, 3000, "5m"), ("user", f"{number}: what now?", 20)],
            number * 10.0,
            billed={"input_uncached_tokens": 20, "cache_read_tokens": read,
                    "cache_write_5m_tokens": 3000 - read},
            **FAST,
        )  # fmt: skip
    found = facts(log)
    evicted = breaker(found, "provider")
    assert evicted.provider_side
    assert (evicted.requests, evicted.lost_tokens) == (2, 6000)  # requests 10 and 20
    (agreement,) = found.agreement
    assert (agreement.billed_read_tokens, agreement.simulated_read_tokens) == (81_000, 87_000)
    assert agreement.within_5_percent_share == pytest.approx(28 / 30)


@given(traffic())
@settings(max_examples=30)
def test_agreement_is_full_where_the_bill_follows_the_documents(calls: list[Call]) -> None:
    log = Log()
    for call, (uncached, read, five, hour) in zip(calls, anthropic(calls, 1024), strict=True):
        log.call(
            [(p.role, p.text, p.tokens, p.marker or None, p.kind) for p in call.parts],
            call.at,
            billed={"input_uncached_tokens": uncached, "cache_read_tokens": read,
                    "cache_write_5m_tokens": five, "cache_write_1h_tokens": hour},
            ttft_ms=call.to_first * 1000, latency_ms=call.took * 1000, model=call.scope,
        )  # fmt: skip
    requests, blocks = log.tables()
    found = prefix_facts(requests, blocks, compare=False)
    for row in found.agreement:
        assert row.simulated_read_tokens == row.billed_read_tokens
        assert row.within_5_percent_share == 1.0
    assert not [b for row in found.templates for b in row.breakers if b.kind == "provider"]


def test_markers_that_were_not_logged_are_read_off_the_counters() -> None:
    rng, calls = random.Random(5), []
    log, bare = Log(), Log()
    now = 0.0
    for talk in range(12):
        parts: list[tuple[Any, ...]] = [("system", RULES, 3000, "5m")]
        for turn in range(5):
            now += rng.choice([2.0, 40.0, 290.0, 500.0])
            parts.append(("user", f"{talk} {turn} " * 30, 150, "5m"))
            log.call(parts, now, **FAST)
            calls.append((list(parts), now))
            parts = [parts[0], *[(*part[:3], None) for part in parts[1:]]]
            parts.append(("assistant", f"answer {talk} {turn} " * 30, 120, None))
    requests, blocks = log.tables()
    classes = simulate_prefix(requests, blocks, PrefixPolicy()).classes.select(INPUT_CLASSES)
    for (parts, at), billed in zip(calls, classes.iter_rows(named=True), strict=True):
        bare.call([part[:3] for part in parts], at, billed=billed, **FAST)
    (row,) = facts(bare).agreement
    assert row.ratio == pytest.approx(1.0)
    assert row.within_5_percent_share == 1.0


def cost(classes: pl.DataFrame, moved: int = 0) -> float:
    """Price a simulation's input, and tokens moved out of it, at SONNET's prices."""
    totals = classes.select(INPUT_CLASSES[:4]).sum().row(0)
    rates = [float(price) for price in SONNET.values()]
    return (
        float(sum(t * rate for t, rate in zip(totals, rates, strict=True)) + moved * rates[0]) / 1e6
    )


def best_cost(found: PrefixFacts, requests: pl.DataFrame, blocks: pl.DataFrame) -> float:
    """Price the best prompts with the best markers."""
    best = simulate_prefix(
        requests, blocks, PrefixPolicy(), sent=Sent(found.mended, found.best_markers)
    )
    return cost(best.classes, int((found.prompts.billed - found.mended.billed).sum()))


@pytest.mark.parametrize(
    ("gap", "count", "words"),
    [
        (10.0, 40, "after the system prompt (5m)"),
        (1000.0, 40, "after the system prompt (1h)"),  # every 17 minutes: an hour's lifetime pays
        (5000.0, 10, "none"),  # longer than any lifetime
    ],
)
def test_the_lifetime_is_chosen_by_money(gap: float, count: int, words: str) -> None:
    log = Log()
    for number in range(count):
        parts = [("system", RULES, 3000), ("user", f"{number}: what now?", 20)]
        log.call(parts, number * gap, **FAST)
    found = facts(log)
    if words == "none":
        assert found.templates[0].best_markers == "as now"  # there are none today
    else:
        assert found.templates[0].best_markers == words
        assert best_cost(found, *log.tables()) < cost(found.as_is.classes)


def test_conversations_are_marked_at_their_end_too() -> None:
    log = Log()
    for talk in range(6):
        parts: list[tuple[Any, ...]] = [("tools", '{"name": "ask"}', 1200), ("system", RULES, 3000)]
        for turn in range(5):
            parts.append(("user", f"{talk} {turn} " * 30, 900))
            log.call(parts, talk * 100.0 + turn * 20.0, **FAST)
            parts.append(("assistant", f"answer {talk} {turn} " * 30, 700))
    found = facts(log)
    row = found.templates[0]
    assert row.best_markers == "after the system prompt (5m), after the last message (5m)"
    assert row.snippet.splitlines()[-2:] == [
        'system = marked(unmarked(system), -1, cache_control={"type": "ephemeral"})',
        'cache_control = {"type": "ephemeral"}  # a parameter of messages.create',
    ]
    parts_of = {share.part: share for share in row.parts}
    assert parts_of["tools"].tokens == 30 * 1200
    assert parts_of["tools"].static_tokens == 29 * 1200
    assert parts_of["system"].static_tokens == 29 * 3000
    # Turn t repeats t questions and t answers: 6 x (0 + 1 + 2 + 3 + 4) x 1,600 tokens.
    assert parts_of["history"].tokens == 60 * 1600
    # The last answer in the history was never sent before: 4 answers of 700 in 6 conversations.
    assert parts_of["history"].static_tokens == 60 * 1600 - 24 * 700
    assert parts_of["question"].static_tokens == 0


@given(traffic())
@settings(max_examples=25)
def test_the_best_plan_of_a_template_costs_no_more_than_what_is_done_now(calls: list[Call]) -> None:
    calls = [Call(c.at, c.parts, c.to_first, c.took) for c in calls]
    requests, blocks = tables(calls, model="claude-sonnet-4-5")
    found = prefix_facts(requests, blocks, pricing(requests), compare=False)
    if len(found.templates) == 1:
        assert best_cost(found, requests, blocks) <= cost(found.as_is.classes) + 1e-12
    for row in found.templates:
        assert sum(share.tokens for share in row.parts) == row.input_tokens
        assert sum(share.static_tokens for share in row.parts) == row.static_tokens
        assert row.static_tokens <= row.input_tokens
        for item in row.breakers:
            assert item.lost["tokens"].sum() == item.lost_tokens


def test_providers_side_by_side_keep_every_token() -> None:
    log = Log()
    for number in range(30):
        parts = [("system", RULES, 3000), ("user", f"{number}: what now?", 20)]
        log.call(parts, number * 10.0, **FAST)
    requests, blocks = log.tables()
    rows = {row.label: row for row in prefix_facts(requests, blocks).providers}
    for row in rows.values():
        ((rate, count, tokens),) = row.sums
        assert (rate, count) == (None, 30)
        assert sum(tokens[: len(INPUT_CLASSES)]) == 30 * 3020
        assert row.input_tokens == 30 * 3020
    # 29 requests read 3,000 tokens at a marker; in steps of 128, they read 2,944.
    assert rows["Anthropic, 5-minute writes"].read_tokens == 29 * 3000
    written = rows["Anthropic, 1-hour writes"].sums[0][2]
    assert written[TOKEN_CLASSES.index("cache_write_1h_tokens")] == 3000
    assert rows["OpenAI, GPT-5 to 5.4"].read_tokens == 29 * 2944
    assert rows["OpenAI, GPT-5.6 and later"].read_tokens == 29 * 3000
    assert rows["Google Gemini, implicit caching"].read_tokens == 29 * 3000
    # DeepSeek persists the common part once two requests have diverged there.
    assert rows["DeepSeek"].read_tokens == 28 * 2944


def test_a_log_without_prompts_keeps_what_its_counters_say() -> None:
    log = Log()
    billed = {"input_uncached_tokens": 500, "cache_read_tokens": 1500}
    for number in range(5):
        log.call([], number * 10.0, billed=billed)
    requests, blocks = log.tables()
    found = prefix_facts(requests, blocks)
    assert found.billed_read_share == 0.75
    assert found.templates == ()
    assert found.as_is.classes["cache_read_tokens"].to_list() == [1500] * 5
    assert found.notes[0] == "5 requests carry no prompt: only their counters are reported."


def test_interval_and_lifetime_are_learned_from_the_bill() -> None:
    log = Log()
    rng, now, last = random.Random(3), 0.0, -1e9
    talk: list[tuple[Any, ...]] = [("system", RULES, 3000)]
    size = 3000
    for number in range(400):
        now += rng.choice([5.0, 100.0, 500.0, 700.0])
        added = rng.randrange(20, 900)
        # This provider reads in steps of 512 tokens and forgets them after ten minutes.
        read = size // 512 * 512 if now - last < 600 else 0
        talk = [*talk, ("user", f"{number}: what now? " * 20, added)]
        size += added
        billed = {"input_uncached_tokens": size - read, "cache_read_tokens": read}
        log.call(talk, now, billed=billed, provider="openai", model="gpt-5.5", **FAST)
        last = now
        if number % 20 == 19:
            talk, size = talk[:1], 3000
    (found,) = facts(log).calibration
    assert found.interval_tokens == 512
    assert found.lifetime_s == pytest.approx(500.0)


def test_an_empty_log_has_no_facts() -> None:
    requests, blocks = Log().tables()
    found = prefix_facts(requests, blocks)
    assert (found.input_tokens, found.templates, found.agreement) == (0, (), ())
    assert found.billed_read_share is None


def test_requests_without_a_time_never_see_an_entry_expire() -> None:
    log = Log()
    for number in range(3):
        parts = [("system", RULES, 3000, "5m"), ("user", f"{number}: what now?", 20)]
        log.call(parts, None, **FAST)
    requests, blocks = log.tables()
    found = prefix_facts(requests, blocks)
    assert found.as_is.classes["cache_read_tokens"].to_list() == [0, 3000, 3000]
    assert any("carry no time" in note for note in found.notes)


def test_the_order_of_rows_does_not_matter() -> None:
    log = Log()
    for number in range(40):
        system = MOVING[0][1](number) if number % 3 else RULES
        parts = [("system", system, 3000, "5m"), ("user", f"{number}: what now?", 20)]
        log.call(parts, (number * 7919 % 1000) * 1.0, **FAST)
    requests, blocks = log.tables()
    there = prefix_facts(requests, blocks)
    order = np.random.default_rng(1).permutation(len(requests))
    mixed = prefix_facts(requests[order], blocks[::-1])
    assert mixed.as_is.classes.equals(there.as_is.classes[order])
    assert described(mixed) == described(there)


def described(found: PrefixFacts) -> list[tuple[Any, ...]]:
    return [
        (row.template_id, row.best_markers, item.kind, item.where, item.lost_tokens)
        for row in found.templates
        for item in row.breakers
    ]
