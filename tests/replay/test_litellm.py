"""A real LiteLLM proxy with its own cache: its hits are predicted, and its cache can be filled."""

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from openai import OpenAI

from costaudit.replay.backends import cache_at
from costaudit.replay.caches.memory import MemoryCache
from tests.replay.conftest import make_log, running, search_module
from tests.replay.filling import traffic, warmed
from tests.replay.model_server import Model, serving
from tests.replay.prompts import RATE, asking

pytestmark = pytest.mark.live

CONFIG = """
model_list:
  - model_name: embedder
    litellm_params: {{model: openai/embedder, api_base: "{embedder}/v1", api_key: none}}
  - model_name: "*"
    litellm_params: {{model: openai/small, api_base: "{url}/v1", api_key: none}}
litellm_settings:
  cache: true
  cache_params: {{{cache}}}
"""
LOCAL = "type: local"
EXACT = "type: redis, host: 127.0.0.1, port: {port}, ttl: 86400"
SEMANTIC = (
    'type: redis-semantic, redis_url: "redis://127.0.0.1:{port}", similarity_threshold: 0.95, '
    "redis_semantic_cache_embedding_model: embedder"
)


@contextmanager
def proxy(folder: Path, url: str, cache: str, embedder: str = "") -> Iterator[str]:
    """Start the proxy from COSTAUDIT_LITELLM or the PATH, with its models at `url`."""
    command = os.environ.get("COSTAUDIT_LITELLM") or shutil.which("litellm")
    if not command:
        pytest.skip("no litellm: pip install 'litellm[proxy]', or set COSTAUDIT_LITELLM")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / f"config-{port}.yaml"
    config.write_text(CONFIG.format(url=url, cache=cache, embedder=embedder or url))
    environment = {
        **os.environ,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }
    process = subprocess.Popen(
        [command, "--config", str(config), "--host", "127.0.0.1", "--port", str(port)],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(f"http://127.0.0.1:{port}/health/liveliness", process)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@pytest.fixture
def litellm(tmp_path: Path) -> Iterator[str]:
    with serving(Model()) as url, proxy(tmp_path, url, LOCAL) as address:
        yield address


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(240):
        assert process.poll() is None, "the proxy ended"
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.5)
    raise AssertionError("the proxy did not start")


def test_a_litellm_cache_hits_as_predicted(litellm: str) -> None:
    log = asking(make_log(400, texts=80, latency_s=0.001, partitions=1))
    result = log.replay(
        cache_at(f"{litellm}?product=litellm"), min_similarity=1.5, rate=RATE, concurrency=2,
        max_spend_usd=Decimal("1"), pipeline=1,
    )  # fmt: skip
    predicted = log.replay(MemoryCache(), min_similarity=1.5).outcomes
    same = (result.outcomes["result"] == predicted["result"]).to_numpy().mean()
    hits = result.outcomes.filter(result="hit")
    print(f"predicted {predicted.filter(result='hit').height} hits, measured {hits.height}")
    assert hits.height > 200 and same >= 0.99
    both = predicted["result"].eq("hit") & result.outcomes["result"].eq("hit")
    assert (
        predicted.filter(both)["matched_id"] == result.outcomes.filter(both)["matched_id"]
    ).all()


@pytest.mark.parametrize(
    ("cache", "options"),
    [(EXACT, "cache=exact&namespace={tenant}"), (SEMANTIC, "cache=semantic&namespace={tenant}")],
)
def test_a_filled_cache_serves_production_s_proxy_without_asking_its_model(
    tmp_path: Path, cache: str, options: str
) -> None:
    # One proxy fills the cache with the log's answers; another one, production's, shares the cache.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        recorded = free.getsockname()[1]
    model = Model()
    with running(tmp_path, *search_module()) as redis, serving(model) as url:
        params = cache.format(port=redis.port)
        ours = f"http://127.0.0.1:{recorded}"
        with proxy(tmp_path, ours, params, url) as filling:
            _, filled, checked, left_out = warmed(
                f"{filling}?product=litellm&port={recorded}&{options}", traffic()
            )
        assert (len(filled.answers), left_out) == (18, {})
        assert (checked.found, checked.missing) == (18, 0)
        assert (checked.probes, checked.crossed) == (18, 0)
        with proxy(tmp_path, url, params) as production:
            client = OpenAI(base_url=production, api_key="none")
            for one in filled.answers:
                said = client.chat.completions.create(
                    model="gpt-4o",
                    messages=[
                        {"role": "system", "content": "Be kind."},
                        {"role": "user", "content": one.question},
                    ],
                    extra_body={"cache": {"namespace": one.scope["tenant"]}},
                )
                assert said.choices[0].message.content == one.answer
    assert [one for one in model.requests if "messages" in one] == []
