"""Numbers from vendors' documentation and from measured bills."""

import datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import data_snapshot

from costaudit.contracts.policies import PrefixPolicy
from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.simulate.prefix.advice.policy_run import simulate_prefix
from costaudit.simulate.prefix.rules.rules import (
    Rules,
    check_keys,
    load_rules,
    named_rules,
    rules_for,
)
from tests.simulate.prefix.traces import part, words
from tests.simulate.traffic import Log

TODAY = datetime.date(2026, 11, 20)
GPT_6 = {"provider": "openai", "model": "gpt-5.6-sol"}


def run(rows: list[tuple[float, list[tuple[Any, ...]]]], **fields: Any) -> list[tuple[int, ...]]:
    log = Log()
    for at, parts in rows:
        log.call(parts, at, **{"ttft_ms": 100.0, "latency_ms": 200.0, **fields})
    requests, blocks = log.tables()
    return simulate_prefix(requests, blocks, PrefixPolicy()).classes.select(INPUT_CLASSES).rows()


def relative_cost(found: list[tuple[int, ...]], rules: Rules) -> Decimal:
    """Return the cost of token classes in units of the input price, by the rules' multipliers."""
    mults = dict(rules.write_mult)
    prices = [Decimal(1), Decimal(rules.read_mult)]
    prices += [Decimal(mults.get(ttl, "1")) for ttl in ("5m", "1h", "30m")]
    return sum(
        (Decimal(count) * price for row in found for count, price in zip(row, prices, strict=True)),
        Decimal(0),
    )


@pytest.mark.parametrize(("count", "expected"), [(2, "1.35"), (10, "2.15")])
def test_1_and_2_a_prefix_written_once_and_read_again(count: int, expected: str) -> None:
    # 1.25 + 0.1 = 1.35 and 1.25 + 9 x 0.1 = 2.15, instead of 2 and 10.
    rows = [(at * 10.0, [part("user", "q", 2000)]) for at in range(count)]
    found = run(rows, **GPT_6)
    rules = rules_for("openai", "gpt-5.6-sol", TODAY)
    assert relative_cost(found, rules) == 2000 * Decimal(expected)


def test_5_a_shared_prefix_is_not_always_a_cached_prefix() -> None:
    rows = [(at, [part("system", "s", 5000), part("user", f"q{at}-", 200)]) for at in (0.0, 9.0)]
    assert run(rows, **GPT_6) == [(0, 0, 0, 0, 5200)] * 2


def test_6_an_explicit_breakpoint_after_the_static_part() -> None:
    rows = [
        (at, [part("system", "s", 5000, "30m"), part("user", f"q{at}-", 200)]) for at in (0.0, 9.0)
    ]
    assert run(rows, **GPT_6) == [(200, 0, 0, 0, 5000), (200, 5000, 0, 0, 0)]


@pytest.mark.parametrize(("shared", "read"), [(1500, 1408), (1023, 0)])
def test_7_and_8_gpt_4o_reads_steps_of_128(shared: int, read: int) -> None:
    rows = [(at, [part("system", "s", shared), part("user", f"q{at}-", 300)]) for at in (0.0, 9.0)]
    assert run(rows, provider="openai", model="gpt-4o")[1][1] == read


def test_9_mixed_lifetimes() -> None:
    a, b = part("system", "s", 10_000, "5m"), part("user", "b", 2000, "1h")
    rows = [
        (0.0, [a, part("user", "x", 10)]),
        (9.0, [a, b, part("user", "c", 3000, "5m"), part("user", "d", 400)]),
    ]
    assert run(rows)[1] == (400, 10_000, 3000, 2000, 0)


@pytest.mark.parametrize(("at", "read"), [(299.0, 5000), (301.0, 0)])
def test_10_the_clock_runs_from_the_start_of_the_request(at: float, read: int) -> None:
    rows = [(0.0, [part("system", "s", 5000, "5m")]), (at, [part("system", "s", 5000, "5m")])]
    found = run(rows, latency_ms=120_000.0)
    assert found[1] == (0, read, 5000 - read, 0, 0)


def test_10_an_entry_that_ended_is_written_anew_and_not_readable_at_once() -> None:
    rows = [(at, [part("system", "s", 5000, "5m")]) for at in (0.0, 300.0, 300.05, 300.2)]
    # Expires at 300; the second request's answer begins at 300.1.
    assert [row[1] for row in run(rows)] == [0, 0, 0, 5000]


def test_11_concurrent_requests_both_write() -> None:
    assert run([(0.0, [part("system", "s", 5000, "5m")])] * 2) == [(0, 0, 5000, 0, 0)] * 2


def test_12_below_the_minimum_of_haiku_4_5() -> None:
    found = run([(0.0, [part("system", "s", 3000, "5m")])], model="claude-haiku-4-5-20251001")
    assert found == [(3000, 0, 0, 0, 0)]


@pytest.mark.parametrize(("blocks", "read"), [(19, 5000), (20, 0)])
def test_13_twenty_positions_counting_the_marker_itself(blocks: int, read: int) -> None:
    s = part("system", "s", 5000, "5m")
    added = [part("user", f"m{i}-", 10, "5m" if i == blocks - 1 else None) for i in range(blocks)]
    unmarked = (*s[:3], None)
    assert run([(0.0, [s]), (9.0, [unmarked, *added])])[1][1] == read


def test_13_a_run_of_tool_results_is_one_position() -> None:
    s = part("system", "s", 5000, "5m")
    results = [("user", words(f"t{i}-"), 10, None, "tool_result") for i in range(40)]
    rows = [(0.0, [s]), (9.0, [(*s[:3], None), *results, part("user", "q", 10, "5m")])]
    assert run(rows)[1][1] == 5000


def test_14_marker_missing_set_and_repeated() -> None:
    bare, marked = part("system", "s", 4458), part("system", "s", 4458, "5m")
    rows = [(at, [system, part("user", f"q{at}-", 50)])
            for at, system in ((0.0, bare), (9.0, marked), (18.0, marked))]  # fmt: skip
    assert [row[1:3] for row in run(rows)] == [(0, 0), (0, 4458), (4458, 0)]


def test_15_subagents() -> None:
    same = [(at * 9.0, [part("user", "prompt", 11_374, "5m")]) for at in range(4)]
    assert [row[1:3] for row in run(same)] == [(0, 11_374)] + [(11_374, 0)] * 3
    system = part("system", "s", 6076, "5m")
    differing = [(0.0, [system])]
    differing += [(at * 9.0, [system, part("user", f"p{at}-", 5303, "5m")]) for at in range(1, 5)]
    assert [row[1:3] for row in run(differing)[1:]] == [(6076, 5303)] * 4


@pytest.mark.parametrize(
    ("provider", "model", "input_per_mtok", "tokens", "usd"),
    [
        # 16: 5,000 at 1.25 and 5,000 at a tenth of that, per million.
        ("openai", "gpt-5", "1.25", (5000, 5000, 0, 0, 0), "0.006875"),
        # 17: the same in a batch, at half the price.
        ("openai", "gpt-5", "0.625", (5000, 5000, 0, 0, 0), "0.0034375"),
        # 18: 5,000 at 2 and 5,000 at a twentieth of that; priority doubles both.
        ("openai", "gpt-6.1-sol", "2", (5000, 5000, 0, 0, 0), "0.0105"),
        ("openai", "gpt-6.1-sol", "4", (5000, 5000, 0, 0, 0), "0.021"),
        # 19: half a million at 10 (above 272,000 tokens) and at 1; from 2026-08-21 at 8 and 0.8.
        ("openai", "gpt-5.6-sol", "10", (500_000, 500_000, 0, 0, 0), "5.5"),
        ("openai", "gpt-5.6-sol", "8", (500_000, 500_000, 0, 0, 0), "4.4"),
        # 20: 500 at 3 and 500 writes at 3.75.
        ("anthropic", "claude-sonnet-4-5", "3", (500, 0, 500, 0, 0), "0.003375"),
    ],
)
def test_16_to_20_multipliers_give_the_bill(
    provider: str, model: str, input_per_mtok: str, tokens: tuple[int, ...], usd: str
) -> None:
    rules = rules_for(provider, model, TODAY)
    cost = relative_cost([tokens], rules) * Decimal(input_per_mtok) / 1_000_000
    assert cost == Decimal(usd)


PRICED = [
    ("openai", "gpt-4o"), ("openai", "gpt-4.1-mini"), ("openai", "gpt-5"), ("openai", "gpt-5.4"),
    ("openai", "o3"), ("openai", "o3-mini"), ("openai", "o1"), ("openai", "o4-mini"),
    ("openai", "gpt-5.5"), ("openai", "gpt-5.6-terra"), ("openai", "gpt-6-sol"),
    ("openai", "gpt-6.1-sol"), ("openai", "gpt-6.1-terra"), ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-opus-5-5"), ("anthropic", "claude-fable-5-1"),
    ("anthropic", "claude-haiku-4-5"), ("anthropic", "claude-fable-5"),
    ("google", "gemini-2.5-pro"), ("google", "gemini-2.0-flash"), ("google", "gemini-4-argon"),
    ("x-ai", "grok-4.5"), ("x-ai", "grok-4.20"), ("x-ai", "grok-code-fast-1"),
    ("groq", "openai/gpt-oss-120b"), ("aws", "amazon.nova-pro-v1:0"),
    ("aws", "global.anthropic.claude-opus-5-5"), ("moonshotai", "kimi-k3"),
    ("mistral", "mistral-large-2512"), ("deepseek", "deepseek-flash"), ("x-ai", "grok-build-0.1"),
    ("moonshotai", "kimi-k3.1-pro-highspeed"), ("aws", "global.moonshotai.kimi-k3"),
    ("aws", "global.moonshotai.kimi-k3.1"),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "model"), PRICED)
def test_read_and_write_multipliers_are_those_of_the_price_list(provider: str, model: str) -> None:
    now = datetime.datetime(2026, 11, 20, 9, tzinfo=datetime.UTC)
    snapshot = data_snapshot.get_snapshot()
    _, known = snapshot.find_provider_model(model, None, provider, None)
    prices = known.get_prices(now)

    def base(price: Any) -> Decimal:
        found: Decimal = getattr(price, "base", price)
        return found

    rules = rules_for(provider, model, TODAY)
    assert base(prices.cache_read_mtok) == base(prices.input_mtok) * Decimal(rules.read_mult)
    if prices.cache_write_mtok and rules.write_mult:
        shortest = rules.write_mult[0][1]
        assert base(prices.cache_write_mtok) == base(prices.input_mtok) * Decimal(shortest)


@pytest.mark.parametrize(
    ("provider", "model", "date", "name", "minimum"),
    [
        ("openai", "gpt-4o", "2024-09-30", "none", 0),
        ("openai", "gpt-4o-2024-08-06", "2024-10-01", "openai_classic", 1024),
        ("openai", "gpt-4o-2024-05-13", "2026-01-01", "openai_no_cache", 0),
        ("openai", "gpt-5.2", "2026-05-28", "openai_classic", 1024),
        ("openai", "gpt-5.2", "2026-05-29", "openai_classic_24h", 1024),
        ("openai", "gpt-5-pro", "2026-05-29", "openai_no_cache", 0),
        ("azure", "gpt-5.4", "2026-06-01", "openai_classic", 1024),
        ("azure", "gpt-5.5", "2026-06-01", "openai_5_5", 1024),
        ("openai", "gpt-5.6-luna", "2026-08-01", "openai", 1024),
        ("aws", "openai.gpt-5.6-sol", "2026-08-01", "openai", 1024),
        ("anthropic", "claude-opus-4-7", "2026-05-01", "anthropic", 4096),
        ("anthropic", "claude-opus-4-7", "2026-08-01", "anthropic", 2048),
        ("anthropic", "claude-opus-4-20250514", "2026-08-01", "anthropic", 1024),
        ("anthropic", "claude-opus-4-5-20251101", "2026-08-01", "anthropic", 4096),
        ("anthropic", "claude-opus-5", "2026-08-01", "anthropic", 512),
        ("anthropic", "claude-sonnet-5", "2026-08-01", "anthropic", 1024),
        ("anthropic", "claude-sonnet-5-5", "2026-10-01", "anthropic", 512),
        ("anthropic", "claude-haiku-4-5-20251001", "2026-10-01", "anthropic", 4096),
        ("anthropic", "claude-3-5-haiku-latest", "2026-01-01", "anthropic", 2048),
        ("google", "claude-opus-4-5@20251101", "2026-01-01", "anthropic", 4096),
        ("google", "gemini-2.5-flash", "2026-01-01", "gemini", 1024),
        ("google", "gemini-2.5-flash", "2026-10-01", "gemini", 2048),
        ("google", "gemini-3.6-flash", "2026-10-01", "gemini", 4096),
        ("aws", "us.anthropic.claude-3-5-haiku-20241022-v1:0", "2026-01-01", "bedrock", 2048),
        ("aws", "amazon.nova-micro-v1:0", "2026-01-01", "bedrock_nova", 1024),
        ("aws", "meta.llama3-70b-instruct-v1:0", "2026-01-01", "hosted_no_cached_price", 0),
        ("alibaba", "qwen-max", "2026-03-01", "alibaba_explicit", 1024),
        ("aws", "global.zai.glm-5.3", "2026-11-01", "bedrock_kimi", 1024),
        ("moonshotai", "kimi-k3", "2026-10-15", "kimi_k3", 256),
        ("moonshotai", "kimi-k3", "2026-10-14", "kimi", 256),
    ],
)
def test_rules_by_model_and_date(
    provider: str, model: str, date: str, name: str, minimum: int
) -> None:
    rules = rules_for(provider, model, datetime.date.fromisoformat(date))
    assert (rules.name, rules.min_tokens) == (name, minimum)


def test_alibaba_without_markers_is_cached_implicitly() -> None:
    rules = rules_for("alibaba", "qwen-max", datetime.date(2026, 3, 1), marked=False)
    assert (rules.name, rules.min_tokens) == ("alibaba", 256)


def test_every_rule_set_names_its_sources() -> None:
    for entry in load_rules():
        assert entry["sources"], entry["name"]
        assert named_rules(entry["name"], "", TODAY).name == entry["name"]


def test_a_misspelt_key_of_a_rule_set_is_an_error() -> None:
    entry = dict(load_rules()[0])
    check_keys(entry)
    with pytest.raises(ValueError, match="granularty"):
        check_keys(entry | {"granularty": 128})
