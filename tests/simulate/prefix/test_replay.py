"""The compiled replay agrees with plain loops over whole prefixes, request by request."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.contracts.policies import PrefixPolicy
from costaudit.contracts.requests import INPUT_CLASSES, check_outcomes
from costaudit.simulate.prefix.advice.policy_run import simulate_prefix
from tests.simulate.prefix.oracle import Call, anthropic, longest_live_prefixes
from tests.simulate.prefix.strategies import tables, traffic

AS_IS = PrefixPolicy()


@given(traffic())
@settings(max_examples=80)
def test_anthropic_as_is_equals_the_plain_loop(calls: list[Call]) -> None:
    requests, blocks = tables(calls)
    classes = simulate_prefix(requests, blocks, AS_IS).classes
    found = classes.select(INPUT_CLASSES[:4]).rows()
    # Both models, Sonnet 4.5 and Opus 4.8, cache from 1,024 tokens on.
    assert found == anthropic(calls, 1024)


@given(traffic(marked=False))
@settings(max_examples=50)
def test_openai_before_5_6_equals_the_plain_loop(calls: list[Call]) -> None:
    requests, blocks = tables(calls, provider="openai", model="gpt-4o")
    calls = [Call(c.at, c.parts, c.to_first, c.took) for c in calls]
    shared = longest_live_prefixes(calls, ttl=300.0)
    read = simulate_prefix(requests, blocks, AS_IS).classes["cache_read_tokens"].to_list()
    assert read == [size // 128 * 128 if size >= 1024 else 0 for size in shared]


@given(traffic(marked=False))
@settings(max_examples=50)
def test_deepseek_equals_the_plain_loop(calls: list[Call]) -> None:
    requests, blocks = tables(calls, provider="deepseek", model="deepseek-chat")
    calls = [Call(c.at, c.parts, c.to_first, c.took) for c in calls]
    shared = longest_live_prefixes(calls, ttl=7200.0, persisted_units=True)
    read = simulate_prefix(requests, blocks, AS_IS).classes["cache_read_tokens"].to_list()
    assert read == [size // 64 * 64 for size in shared]


@given(traffic(), st.sampled_from(["own", "openai", "openai_classic", "gemini", "deepseek"]))
@settings(max_examples=40)
def test_every_token_is_in_one_class_and_the_outcomes_hold_their_laws(
    calls: list[Call], rules: str
) -> None:
    requests, blocks = tables(calls)
    outcome = simulate_prefix(requests, blocks, PrefixPolicy(rules=rules))
    classes = outcome.classes.select(INPUT_CLASSES)
    assert (classes.to_numpy() >= 0).all()
    assert classes.sum_horizontal().to_list() == [call.total for call in calls]
    check_outcomes(outcome.to_outcomes(requests), len(calls))


@given(traffic(), st.data())
@settings(max_examples=40)
def test_requests_that_are_not_kept_are_not_seen(calls: list[Call], data: st.DataObject) -> None:
    keep = data.draw(st.lists(st.booleans(), min_size=len(calls), max_size=len(calls)))
    requests, blocks = tables(calls)
    mask = np.array(keep)
    part = simulate_prefix(requests, blocks, AS_IS, keep=mask).classes
    alone = simulate_prefix(requests.filter(mask), blocks, AS_IS).classes
    assert part.filter(mask).equals(alone)
    assert part.filter(~mask).to_numpy().sum() == 0


@given(traffic())
@settings(max_examples=40)
def test_what_is_read_stands_in_an_earlier_request(calls: list[Call]) -> None:
    requests, blocks = tables(calls)
    outcome = simulate_prefix(requests, blocks, AS_IS)
    for index, (read, writer) in enumerate(
        zip(outcome.classes["cache_read_tokens"], outcome.matched, strict=True)
    ):
        ends = {calls[index].prefix_tokens(at): at for at in range(len(calls[index].parts))}
        assert (read > 0) == (writer >= 0)
        if read:
            assert writer < index
            assert calls[writer].key(ends[read]) == calls[index].key(ends[read])


@given(traffic(marked=False))
@settings(max_examples=40)
def test_a_longer_lifetime_never_reads_less(calls: list[Call]) -> None:
    requests, blocks = tables(calls, provider="openai", model="gpt-4.1")
    short = simulate_prefix(requests, blocks, PrefixPolicy(rules="openai_classic"))
    long = simulate_prefix(requests, blocks, PrefixPolicy(rules="openai_classic_24h"))
    less, more = (o.classes["cache_read_tokens"].to_numpy() for o in (short, long))
    assert (more >= less).all()
