"""The chatbot's log has the documented shape."""

import json
import math
import re
import statistics
from collections import Counter, defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.sample_logs.conftest import Chatbot

USD_PER_MTOK = {  # OpenAI's list prices: uncached input, cached input, output
    "gpt-4o": ("2.50", "1.25", "10.00"),
    "gpt-4o-mini": ("0.15", "0.075", "0.60"),
    "gpt-4.1": ("2.00", "0.50", "8.00"),
}
ORDERS = "/v1/support/orders-assistant"
WIDGET = "/v1/support/widget"


def test_truth_has_every_line_in_order(chatbot: Chatbot) -> None:
    assert len(chatbot.records) == 12_000
    assert [r.request_id for r in chatbot.records] == [t["request_id"] for t in chatbot.truth]
    assert len({record.request_id for record in chatbot.records}) == 12_000
    for record, truth in chatbot.pairs():
        assert truth["response_id"] == (record.response or {}).get("id", "")
    ids = [truth["response_id"] for truth in chatbot.truth if truth["response_id"]]
    assert len(ids) == len(set(ids))


def test_lines_are_in_time_order_within_the_month(chatbot: Chatbot) -> None:
    times = [record.timestamp for record in chatbot.records]
    assert times == sorted(times)
    assert times[0] >= datetime(2026, 10, 1, tzinfo=UTC)
    assert times[-1] < datetime(2026, 10, 31, tzinfo=UTC)


def test_days_and_weeks_have_a_rhythm(chatbot: Chatbot) -> None:
    hours = Counter(record.timestamp.hour for record in chatbot.records)
    assert hours[11] > 10 * hours[3]
    days = Counter(record.timestamp.date() for record in chatbot.records)
    by_weekday = defaultdict(list)
    for day, count in days.items():
        by_weekday[day.weekday()].append(count)
    means = {weekday: statistics.mean(counts) for weekday, counts in by_weekday.items()}
    assert means[0] > 1.4 * means[6]  # Monday against Sunday


def test_about_half_are_frequent_questions(chatbot: Chatbot) -> None:
    share = sum(t["kind"] == "faq" for t in chatbot.truth) / len(chatbot.truth)
    assert 0.45 <= share <= 0.52
    assert len({t["intent"] for t in chatbot.truth if t["kind"] == "faq"}) == 25


def test_frequent_questions_have_many_wordings() -> None:
    from sample_generator.corpus import faqs, mids

    for intent in faqs():
        wordings = [text.casefold() for both in intent.questions.values() for text in both]
        assert len(set(wordings)) >= 20, intent.id
    assert len(mids()) >= 60


def test_topics_follow_zipf(chatbot: Chatbot) -> None:
    """log(count) falls about linearly with log(rank), with a slope near -1."""
    counts = Counter(t["intent"] for t in chatbot.truth if t["kind"] == "faq")
    ranked = [count for _, count in counts.most_common()]
    ranks = [math.log(rank) for rank in range(1, len(ranked) + 1)]
    logs = [math.log(count) for count in ranked]
    slope = statistics.linear_regression(ranks, logs).slope
    assert -1.4 < slope < -0.7
    assert statistics.correlation(ranks, logs) < -0.95


def test_texts_to_embed_stay_few(chatbot: Chatbot) -> None:
    questions = {record.question for record in chatbot.records}
    answers = {record.answer for record in chatbot.records} - {""}
    assert 5_000 <= len(questions) <= 6_000
    assert len(answers) <= 4_500


def test_one_off_questions_are_asked_once(chatbot: Chatbot) -> None:
    """Only retries, and second calls after a tool, repeat a question, in the same conversation."""
    asked = {
        (record.question, record.conversation_id)
        for record, truth in chatbot.pairs()
        if truth["kind"] == "tail"
    }
    repeated = len(asked) - len({question for question, _ in asked})
    assert repeated < 0.02 * len(asked)


def test_near_misses_have_other_answers(chatbot: Chatbot) -> None:
    """Within a group, no answer text belongs to two facts, in any shop."""
    owners = defaultdict(set)
    facts = defaultdict(set)
    for record, truth in chatbot.pairs():
        if truth["trap_group"] and truth["outcome"] == "ok":
            fact = truth["answer_id"].split(":")[0]
            owners[truth["trap_group"], record.answer].add(fact)
            facts[truth["trap_group"]].add(fact)
    assert all(len(ids) == 1 for ids in owners.values())
    assert len(facts) >= 18
    assert all(len(ids) >= 2 for ids in facts.values())


def test_the_trap_of_the_article_is_there(chatbot: Chatbot) -> None:
    answers = defaultdict(list)
    for record, truth in chatbot.pairs():
        if truth["language"] == "en" and truth["outcome"] == "ok":
            answers[truth["intent"]].append(record.answer)
    assert all("Yes" in a or "You can" in a for a in answers["cancel_within_24h"])
    assert all("No," in a or "afraid not" in a for a in answers["cancel_after_48h"])


def test_same_question_same_shop_gets_varied_wordings_of_one_answer(chatbot: Chatbot) -> None:
    """If nothing changes over time, all answers to one text in one scope have the same id."""
    answers, ids = defaultdict(list), defaultdict(set)
    changing = {"discount_code", "shipping_cost", "service_status"}
    for record, truth in chatbot.pairs():
        if truth["kind"] not in ("faq", "mid") or truth["outcome"] != "ok":
            continue
        if truth["intent"] in changing or truth["intent"] == "track_order":
            continue
        key = (record.endpoint, record.tenant, truth["language"], record.question)
        answers[key].append(record.answer)
        ids[key].add(truth["answer_id"])
    assert all(len(found) == 1 for found in ids.values())
    often = [found for (endpoint, *_), found in answers.items()
             if len(found) > 1 and endpoint != ORDERS]  # fmt: skip
    varied = sum(len(set(found)) > 1 for found in often) / len(often)
    assert 0.6 < varied < 0.98


def test_promotion_changes_on_its_days(chatbot: Chatbot) -> None:
    seen = defaultdict(set)
    for record, truth in chatbot.pairs():
        told_today = truth["outcome"] == "ok" and record.endpoint != WIDGET
        if truth["intent"] == "discount_code" and told_today:
            day = record.timestamp.day
            period = "first" if day < 15 else "second" if day < 26 else "third"
            seen[period].add(truth["answer_id"])
            assert ("AUTUMN10" in record.answer) == (period == "first")
    assert seen == {
        "first": {"discount_code:autumn10"},
        "second": {"discount_code:harvest15"},
        "third": {"discount_code:none"},
    }


def test_order_states_only_advance(chatbot: Chatbot) -> None:
    steps = ["preparing", "shipped", "delivered"]
    reached: dict[str, int] = {}
    for truth in chatbot.truth:
        name, *rest = truth["answer_id"].split(":")
        if name == "track_order" and len(rest) == 2:
            order, state = rest
            assert steps.index(state) >= reached.get(order, 0)
            reached[order] = steps.index(state)
    assert len(reached) > 300


def test_later_turns_carry_what_was_said(chatbot: Chatbot) -> None:
    """Each call starts with all messages of the conversation's last answered call."""
    said: dict[str, list[dict[str, Any]]] = {}
    follow_ups = 0
    for record in chatbot.records:
        messages = record.request.messages[1:]
        if before := said.get(record.conversation_id):
            follow_ups += 1
            assert messages[: len(before)] == before
        if record.status == 200:
            assert record.response is not None
            message = record.response["choices"][0]["message"]
            kept = {key: value for key, value in message.items() if key != "refusal"}
            said[record.conversation_id] = [*messages, kept]
    assert 0.20 <= follow_ups / len(chatbot.records) <= 0.25


def test_failures_are_tried_again(chatbot: Chatbot) -> None:
    by_id = {record.request_id: record for record in chatbot.records}
    failed = [record for record in chatbot.records if record.status != 200]
    again = [record for record in chatbot.records if record.attempt > 1]
    assert 0.01 <= len(failed) / len(chatbot.records) <= 0.02
    assert len(again) > 0.7 * len(failed)
    for record in failed:
        assert record.usage == {} and record.cost_usd == 0
    for record in again:
        root = by_id[str(record.root_request_id)]
        assert root.status != 200 and root.timestamp < record.timestamp
        assert root.request.messages == record.request.messages


def test_gateway_serves_earlier_answers_for_nothing(chatbot: Chatbot) -> None:
    hits = [r for r in chatbot.records if r.cache_status == "HIT"]
    assert 0.02 <= len(hits) / len(chatbot.records) <= 0.04
    told: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for record in chatbot.records:
        if record.cache_status == "HIT":
            assert record.cost_usd == 0 and record.latency_ms < 100
            assert record.answer in told[record.endpoint, record.tenant]
        told[record.endpoint, record.tenant].add(record.answer)


def test_prompt_tokens_are_o200k_base(chatbot: Chatbot) -> None:
    """Tools, then 3 framing tokens, role and content per message, and 3 for the answer."""
    from sample_generator.tokens import encoding, render_tools

    encode = encoding().encode_ordinary
    checked = 0
    for record in chatbot.records[::149]:
        if not record.usage:
            continue
        total = 3 + len(encode(render_tools(json.loads(bytes(record.request.tools)))))
        for message in record.request.messages:
            called = "".join(c["function"]["name"] + c["function"]["arguments"]
                             for c in message.get("tool_calls", ()))  # fmt: skip
            text = (message["content"] or "") + called
            total += 3 + len(encode(message["role"])) + len(encode(text))
        assert record.usage["prompt_tokens"] == total
        checked += 1
    assert checked > 70


def test_prompts_have_the_size_of_the_article(chatbot: Chatbot) -> None:
    from sample_generator.tokens import count, render_tools

    for record in chatbot.records[::500]:
        assert 1_800 <= count(record.request.messages[0]["content"]) <= 2_200
        tools = json.loads(bytes(record.request.tools))
        if record.endpoint == ORDERS:
            assert len(tools) == 4
        else:
            assert len(tools) == 8
            assert 900 <= count(render_tools(tools)) <= 1_300


def test_cached_tokens_obey_the_automatic_cache(chatbot: Chatbot) -> None:
    """0, or 1,024 plus multiples of 128 that an answered call sent at most 10 minutes before."""
    sent: defaultdict[tuple[str, str], list[tuple[datetime, str]]] = defaultdict(list)
    for record in chatbot.records:
        if record.status != 200 or record.cache_status == "HIT":
            continue
        cached = record.usage["prompt_tokens_details"]["cached_tokens"]
        system = record.request.messages[0]["content"]
        if cached:
            assert cached >= 1_024 and (cached - 1_024) % 128 == 0
            assert cached <= record.usage["prompt_tokens"]
            earlier = sent[record.request.model, record.endpoint]
            assert any(
                (record.timestamp - time).total_seconds() <= 600 and text[:4_000] == system[:4_000]
                for time, text in reversed(earlier[-400:])
            )
        sent[record.request.model, record.endpoint].append((record.timestamp, system))


def test_only_the_orders_assistant_breaks_its_prefix(chatbot: Chatbot) -> None:
    shares = {}
    for endpoint in {record.endpoint for record in chatbot.records}:
        usages = [r.usage for r in chatbot.records
                  if r.endpoint == endpoint and r.usage and r.cache_status == "MISS"]  # fmt: skip
        cached = sum(u["prompt_tokens_details"]["cached_tokens"] for u in usages)
        shares[endpoint] = cached / sum(u["prompt_tokens"] for u in usages)
    assert shares.pop(ORDERS) < 0.01
    assert all(share > 0.1 for share in shares.values())
    moving = [r for r in chatbot.records if "Current time:" in r.request.messages[0]["content"]]
    assert {record.endpoint for record in moving} == {ORDERS}
    assert 0.17 <= len(moving) / len(chatbot.records) <= 0.25


def test_costs_are_tokens_times_list_prices(chatbot: Chatbot) -> None:
    for record in chatbot.records:
        if not record.usage or record.cache_status == "HIT":
            continue
        uncached, cached, output = map(Decimal, USD_PER_MTOK[record.request.model])
        read = record.usage["prompt_tokens_details"]["cached_tokens"]
        usd = (record.usage["prompt_tokens"] - read) * uncached + read * cached
        usd = (usd + record.usage["completion_tokens"] * output) / 1_000_000
        assert float(usd) == pytest.approx(record.cost_usd, abs=1e-9)


def test_some_customers_paste_secrets(chatbot: Chatbot) -> None:
    keys = [r for r in chatbot.records if re.search(r"sk-proj-\w{40}", r.question)]
    cards = [r for r in chatbot.records if "4111 1111 1111 1111" in r.question]
    assert keys and cards and len(keys) + len(cards) < 40
