"""A real LiteLLM proxy with its own cache: its hits against the predicted ones."""

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from costaudit.replay.backends import cache_at
from costaudit.replay.caches.memory import MemoryCache
from tests.replay.conftest import make_log
from tests.replay.model_server import Model, serving
from tests.replay.test_upstreams import RATE, asking

pytestmark = pytest.mark.live

CONFIG = """
model_list:
  - model_name: small
    litellm_params: {{model: openai/small, api_base: "{url}/v1", api_key: none}}
litellm_settings:
  cache: true
  cache_params: {{type: local}}
"""


@pytest.fixture
def litellm(tmp_path: Path) -> Iterator[str]:
    """Start the proxy that COSTAUDIT_LITELLM or the PATH names."""
    command = os.environ.get("COSTAUDIT_LITELLM") or shutil.which("litellm")
    if not command:
        pytest.skip("no litellm: pip install 'litellm[proxy]', or set COSTAUDIT_LITELLM")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with serving(Model()) as url:
        config = tmp_path / "config.yaml"
        config.write_text(CONFIG.format(url=url))
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
    log = asking(make_log(400, texts=80, latency_s=0.001))
    result = log.replay(
        cache_at(f"{litellm}?product=litellm"), min_similarity=1.5, rate=RATE, concurrency=2,
        max_spend_usd=Decimal("1"), pipeline=1,
    )  # fmt: skip
    predicted = log.replay(MemoryCache(), min_similarity=1.5).outcomes
    same = (result.outcomes["result"] == predicted["result"]).mean()
    hits = result.outcomes.filter(result="hit")
    print(f"predicted {predicted.filter(result='hit').height} hits, measured {hits.height}")
    assert hits.height > 200 and same >= 0.99
    both = predicted["result"].eq("hit") & result.outcomes["result"].eq("hit")
    assert (
        predicted.filter(both)["matched_id"] == result.outcomes.filter(both)["matched_id"]
    ).all()
