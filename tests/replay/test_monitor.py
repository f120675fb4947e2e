"""Metrics that a scraper reads during a replay agree with the replay's own outcomes."""

import re
import urllib.request

import numpy as np
import pytest

from costaudit.errors import UsageError
from costaudit.replay.caches.memory import MemoryCache
from costaudit.replay.metrics import Monitor
from tests.replay.conftest import Log, make_log


def priced_log() -> Log:
    log = make_log(300)
    n = len(log.stream)
    object.__setattr__(log.stream, "cost_usd", np.full(n, 0.25))
    object.__setattr__(log.stream, "models", ["small", "large"] * (n // 2))
    object.__setattr__(log.stream, "endpoints", ["/ask"] * n)
    return log


def scrape(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
        text = page.read().decode()
    lines = re.findall(r"^(\w+(?:\{[^}]*\})?) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in lines}


def test_a_scraper_reads_what_the_replay_did() -> None:
    log = priced_log()
    with Monitor(log.stream, 0) as monitor:
        result = log.replay(MemoryCache(), listener=monitor)
        seen = scrape(monitor.port)
    outcomes = result.outcomes
    hits, misses = outcomes.filter(result="hit").height, outcomes.filter(result="miss").height
    assert seen['semantic_cache_requests_total{result="hit"}'] == hits
    assert seen['semantic_cache_requests_total{result="miss"}'] == misses
    assert seen["llm_request_latency_seconds_count"] == 300
    paid = sum(v for name, v in seen.items() if name.startswith("llm_cost_dollars_total"))
    saved = sum(v for name, v in seen.items() if name.startswith("llm_cost_saved_dollars_total"))
    assert saved == hits * 0.25
    assert paid == (300 - hits) * 0.25  # bypassed calls are paid as before
    tokens = [
        seen[f'llm_tokens_total{{model="{model}",type="output"}}'] for model in ("small", "large")
    ]
    assert sum(tokens) == outcomes["output_tokens"].sum()
    totals = {name: v for name, v in seen.items() if name.startswith("llm_tokens_total")}
    cached = sum(v for name, v in totals.items() if 'type="cache_' in name)
    columns = [name for name in outcomes.columns if name.startswith("cache_")]
    assert cached == outcomes.select(columns).sum().sum_horizontal().item()


def test_a_port_in_use_is_said_and_the_port_is_free_afterwards() -> None:
    log = priced_log()
    with Monitor(log.stream, 0) as monitor:
        with pytest.raises(UsageError, match="can't be served"):
            Monitor(log.stream, monitor.port).__enter__()
        port = monitor.port
    with Monitor(log.stream, port):
        assert scrape(port)


def test_unknown_latencies_are_not_observed() -> None:
    log = priced_log()
    log.stream.latencies_ms[:] = np.nan
    with Monitor(log.stream, 0) as monitor:
        result = log.replay(MemoryCache(), listener=monitor)
        seen = scrape(monitor.port)
    hits = result.outcomes.filter(result="hit").height
    assert seen["llm_request_latency_seconds_count"] == hits
