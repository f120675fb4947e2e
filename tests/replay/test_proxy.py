"""Caching proxies: each product's own signals of a hit, from a server that imitates them."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from costaudit.errors import BackendError, UsageError
from costaudit.replay.backends import cache_at
from costaudit.replay.caches.memory import MemoryCache
from costaudit.replay.caches.proxy import ProxyCache, filled, product_named, products
from costaudit.replay.recorded_server import RecordedServer
from costaudit.replay.upstream import Rate
from tests.replay.conftest import make_log
from tests.replay.model_server import USAGE, Handler, Model, serving
from tests.replay.prompts import RATE, asking


class Proxy(Handler):
    """Caches by namespace and messages, and signals hits as one product does."""

    product = "generic"
    scope_header = ""
    stored: dict[str, dict[str, Any]]

    def reply(self, body: dict[str, Any], *, half: bool) -> None:
        scope = body.get("cache", {}).get("namespace") or self.headers.get(self.scope_header, "")
        key = json.dumps([scope, body["messages"], body["model"]])
        hit = key in self.stored
        if not hit:
            text = self.model.answer(body)
            message = {"role": "assistant", "content": text}
            self.stored[key] = {
                "id": f"chatcmpl-{len(self.stored)}", "object": "chat.completion", "created": 1,
                "model": body["model"], "usage": USAGE,
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            }  # fmt: skip
        answer = dict(self.stored[key])
        self.said = self.signals(hit)
        if self.product == "bifrost":
            answer["id"] = f"chatcmpl-{len(self.model.requests)}"
            answer["extra_fields"] = {"cache_debug": {"cache_hit": hit, "similarity": 0.97}}
        self.send(json.dumps(answer).encode())

    def signals(self, hit: bool) -> dict[str, str]:
        return {
            "litellm": {"x-litellm-cache-key": "abc"} if hit else {},
            "portkey": {"x-portkey-cache-status": "HIT" if hit else "MISS"},
            "helicone": {"Helicone-Cache": "HIT" if hit else "MISS"},
            "cloudflare": {"cf-aig-cache-status": "HIT" if hit else "MISS"},
            "kong": {"X-Cache-Status": "Hit" if hit else "Miss"},
            "apisix": {"X-AI-Cache-Status": "HIT-L1" if hit else "MISS"},
        }.get(self.product, {})

    def more_headers(self) -> dict[str, str]:
        return getattr(self, "said", {})


SCOPE_HEADERS = {
    "portkey": "x-portkey-cache-namespace",
    "helicone": "Helicone-Cache-Seed",
    "bifrost": "x-bf-cache-key",
}


def proxying(product: str) -> type[Proxy]:
    return type(
        "Product",
        (Proxy,),
        {"product": product, "stored": {}, "scope_header": SCOPE_HEADERS.get(product, "")},
    )


@pytest.mark.parametrize("product", sorted(products()))
def test_hits_are_read_as_each_product_tells_them(product: str) -> None:
    log = asking(make_log(150, texts=30, partitions=1, latency_s=0.001))
    with serving(Model(), proxying(product)) as url:
        cache = cache_at(f"{url}/v1?product={product}")
        result = log.replay(
            cache, min_similarity=1.5, rate=RATE, max_spend_usd=Decimal("1"), concurrency=1
        )
    simulated = log.replay(MemoryCache(), min_similarity=1.5).outcomes
    columns = ["result", "matched_id"]
    assert result.outcomes.select(columns).equals(simulated.select(columns))
    hits = result.outcomes.filter(result="hit")
    own = {"bifrost": 0.97}.get(product, 1.0)  # a product's own similarity is kept unchanged
    assert hits.height > 50 and hits["similarity"].to_list() == pytest.approx([own] * hits.height)
    misses = result.outcomes.filter(result="miss").height
    assert result.spent_usd == misses * RATE.cost_usd((60, 40, 0, 0, 0, 7))


def test_another_run_is_not_served_what_this_one_left() -> None:
    log = asking(make_log(40, texts=10, latency_s=0.001))
    with serving(Model(), proxying("litellm")) as url:
        results = [
            log.replay(
                cache_at(f"{url}/v1?product=litellm"), rate=RATE, max_spend_usd=Decimal("1"),
                isolate=True, concurrency=1,
            ).outcomes["result"]
            for _ in range(2)
        ]  # fmt: skip
    assert results[0].equals(results[1])


def test_nothing_is_sent_that_production_does_not_send() -> None:
    log = asking(make_log(60, texts=20, partitions=2, bypass_share=0, latency_s=0.001))
    model = Model()
    with serving(model, proxying("portkey")) as url:
        cache = cache_at(f"{url}/v1?product=portkey", {"x-team": "search"})
        result = log.replay(cache, rate=RATE, max_spend_usd=Decimal("1"), concurrency=1)
    assert set(model.requests[0]) == {"path", "model", "messages", "max_tokens", "temperature"}
    assert {sent["x-team"] for sent in model.headers} == {"search"}
    assert not any("namespace" in name for sent in model.headers for name in sent)
    # one cache for both partitions, so more hits than with one each
    hits = result.outcomes.filter(result="hit").height
    apart = log.replay(MemoryCache(), min_similarity=1.5).outcomes.filter(result="hit").height
    assert hits > apart
    assert any("stay in the cache" in note for note in result.notes)


def test_isolated_requests_carry_one_namespace() -> None:
    log = asking(make_log(30, texts=20, partitions=3, bypass_share=0, latency_s=0.001))
    model = Model()
    with serving(model, proxying("portkey")) as url:
        cache = cache_at(f"{url}/v1?product=portkey")
        log.replay(cache, rate=RATE, max_spend_usd=Decimal("1"), isolate=True)
    assert len({sent["x-portkey-cache-namespace"] for sent in model.headers}) == 1


def test_the_log_s_own_answers_are_served_to_a_proxy() -> None:
    log = asking(make_log(120, texts=25, partitions=1, bypass_share=0, latency_s=0.001))
    with RecordedServer(log.stream, 0, None) as server:
        cache = cache_at(f"{server.url}?product=generic")
        assert isinstance(cache, ProxyCache)
        cache.recorded = server
        free = Rate((Decimal(0),) * 6)
        result = log.replay(cache, rate=free, max_spend_usd=Decimal(0), concurrency=4)
    # the server caches nothing: each request gets its own answer, with the log's tokens
    assert result.outcomes["result"].to_list() == ["miss"] * 120
    assert result.outcomes["output_tokens"].to_list() == log.stream.tokens[:, -1].tolist()
    assert server.unknown == 0


def test_a_usage_of_all_zeros_is_asked_about() -> None:
    class Silent(Handler):
        def openai(self, body: dict[str, Any], text: str, half: bool) -> None:
            message = {"role": "assistant", "content": text}
            self.send(json.dumps({
                "id": "x", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
            }).encode())  # fmt: skip

    log = asking(make_log(5, bypass_share=0))
    with serving(Model(), Silent) as url, pytest.raises(BackendError, match="all zeros"):
        log.replay(cache_at(f"{url}/v1"), rate=RATE, max_spend_usd=Decimal("1"))


def test_ttls_are_scaled_and_sent() -> None:
    log = asking(make_log(3, bypass_share=0))
    model = Model()
    with serving(model, proxying("helicone")) as url:
        log.replay(
            cache_at(f"{url}/v1?product=helicone"), ttl_s=600.0, speed=100.0, rate=RATE,
            max_spend_usd=Decimal("1"), isolate=True,
        )  # fmt: skip
    assert {sent["cache-control"] for sent in model.headers} == {"max-age=6"}
    assert len({sent["helicone-cache-seed"] for sent in model.headers}) >= 1


def test_templates_become_what_the_wire_needs() -> None:
    values = {"scope": "run:3", "ttl_s": "60", "min_similarity": "0.8"}
    litellm = product_named("litellm")
    assert filled(litellm.body, values) == {"cache": {"namespace": "run:3"}}
    assert filled(litellm.ttl_body, values) == {"cache": {"ttl": 60}}
    bifrost = product_named("bifrost")
    assert filled(bifrost.headers, values)["x-bf-cache-threshold"] == "0.8"


@pytest.mark.parametrize(
    ("faults", "query", "reason"),
    [
        (["status 500"] * 3, "", "http-500"),
        (["malformed"] * 3, "", "malformed"),
        (["html"] * 3, "", "malformed"),
        (["slow"] * 3, "timeout_s=0.2", "timeout"),
    ],
)
def test_failures_of_a_proxy_are_rows(faults: list[str], query: str, reason: str) -> None:
    log = asking(make_log(20, bypass_share=0))
    with serving(Model(faults=faults), proxying("litellm")) as url:
        cache = cache_at(f"{url}/v1?product=litellm&retries=0&{query}")
        result = log.replay(cache, rate=RATE, max_spend_usd=Decimal("1"), concurrency=1)
    assert result.errors == {reason: 3}
    assert result.outcomes.height == 20


def test_a_proxy_that_only_fails_stops_the_run(tmp_path: Path) -> None:
    log = asking(make_log(100, bypass_share=0))
    path = tmp_path / "journal"
    expected = pytest.raises(BackendError, match="20 requests in a row failed")
    with (
        serving(Model(faults=["status 500"] * 999), proxying("litellm")) as url,
        expected as failed,
    ):
        log.replay(
            cache_at(f"{url}/v1?product=litellm&retries=0"), rate=RATE, resume_path=path,
            max_spend_usd=Decimal("1"), concurrency=1,
        )  # fmt: skip
    assert failed.value.exit_code == 5 and str(path) in failed.value.hint


def test_the_budget_holds_for_a_proxy_too() -> None:
    log = asking(make_log(80, texts=80, bypass_share=0))
    model = Model()
    expected = pytest.raises(BackendError, match="could exceed the limit")
    with serving(model, proxying("litellm")) as url, expected:
        log.replay(
            cache_at(f"{url}/v1?product=litellm"), rate=RATE, pipeline=4,
            max_spend_usd=Decimal("0.002"),
        )  # fmt: skip
    assert 0 < len(model.requests) * RATE.cost_usd((60, 40, 0, 0, 0, 7)) <= Decimal("0.002")


def test_a_proxy_that_is_down_is_said_before_anything_is_sent() -> None:
    log = asking(make_log(3))
    with pytest.raises(BackendError, match="Can't reach the proxy") as failed:
        log.replay(cache_at("http://127.0.0.1:9/v1"), rate=RATE, max_spend_usd=Decimal("1"))
    assert failed.value.hint


@pytest.mark.parametrize("options", [{"shadow": True}, {"isolate": True}])
def test_what_a_proxy_cannot_do_is_refused(options: dict[str, Any]) -> None:
    log = asking(make_log(3))
    with serving(Model(), proxying("kong")) as url, pytest.raises(UsageError):
        log.replay(
            cache_at(f"{url}/v1?product=kong"), rate=RATE, max_spend_usd=Decimal("1"), **options
        )


def test_a_proxy_needs_prompts() -> None:
    log = make_log(3)
    with serving(Model(), proxying("litellm")) as url, pytest.raises(UsageError, match="prompts"):
        log.replay(cache_at(f"{url}/v1?product=litellm"), rate=RATE, max_spend_usd=Decimal("1"))


def test_an_unknown_product_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError) as refused:
        cache_at("https://host/v1?product=gptcache")
    assert "litellm" in refused.value.hint
