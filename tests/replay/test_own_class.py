"""A cache in a user's own file is called as an application would call it."""

import textwrap
from pathlib import Path

import pytest

from costaudit.errors import BackendError, UsageError
from costaudit.replay.backends import cache_at
from costaudit.replay.caches.memory import MemoryCache
from tests.replay.conftest import RedisServer, make_log
from tests.replay.examples import EXAMPLES, scoped

EXACT = """
    class Mine:
        def __init__(self, fails="no"):
            self.kept, self.fails, self.seen = {}, fails == "yes", []
        @ASYNC@def get(self, question, context):
            if self.fails:
                raise RuntimeError("down")
            assert context.vector.shape == (32,) and context.now_s > 1e9
            return self.kept.get((question, context.scope.get("tenant")))
        @ASYNC@def set(self, question, answer, context):
            assert answer == context.answer
            self.kept[question, context.scope.get("tenant")] = answer
        @ASYNC@def clear(self):
            self.kept.clear()
    class NoMethods: ...
"""


def write(folder: Path, *, asynchronous: bool = False) -> Path:
    path = folder / f"mine_{asynchronous}.py"
    source = textwrap.dedent(EXACT).replace("@ASYNC@", "async " if asynchronous else "")
    path.write_text(source)
    return path


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_class_decides_as_the_simulation_of_its_rules(tmp_path: Path, asynchronous: bool) -> None:
    log = scoped(make_log(400))
    cache = cache_at(f"{write(tmp_path, asynchronous=asynchronous)}:Mine")
    measured = log.replay(cache, min_similarity=1.5).outcomes
    predicted = log.replay(MemoryCache(), min_similarity=1.5).outcomes
    columns = ["result", "matched_id", "similarity"]
    assert measured.select(columns).equals(predicted.select(columns))
    assert measured.filter(result="hit").height > 100


def test_what_a_class_raises_is_an_error_of_that_request(tmp_path: Path) -> None:
    log = make_log(30, bypass_share=0)
    with pytest.raises(BackendError, match="in a row failed, the last with: cache: RuntimeError"):
        log.replay(cache_at(f"{write(tmp_path)}:Mine?fails=yes"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nowhere.module:Cache", "No module named 'nowhere'"),
        ("{path}:Absent", "has no attribute 'Absent'"),
        ("missing.py:Cache", "there is no file missing.py"),
        ("{path}:NoMethods", "no `get` and `set`"),
        ("{path}:Mine?colour=red", "colour"),
    ],
)
def test_a_class_that_can_not_be_used_is_refused(tmp_path: Path, given: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        cache_at(given.format(path=write(tmp_path)))
    assert refused.value.hint


def test_the_article_s_class_on_a_real_redis(redis_server: RedisServer) -> None:
    # One cache for all: no scope, 0.79, a TTL of one hour by the log's clock.
    log = make_log(600, partitions=1, rate=0.05)  # 600 requests in about three hours
    address = f"{EXAMPLES / 'article_cache.py'}:ArticleCache?url={redis_server.url()}"
    measured = log.replay(cache_at(address), pipeline=1).outcomes
    predicted = log.replay(MemoryCache(), min_similarity=0.79, ttl_s=3600.0).outcomes
    agreed = (measured["result"] == predicted["result"]).to_numpy().mean()
    hits = measured.filter(result="hit")
    assert hits.height > 200 and agreed >= 0.99
    forever = log.replay(MemoryCache(), min_similarity=0.79).outcomes
    assert forever.filter(result="hit").height > hits.height  # the TTL of one hour loses hits
    assert redis_server.key_names() == []
    assert redis_server.client().execute_command("FT._LIST") == []


def test_the_article_s_class_is_one_short_file() -> None:
    lines = (EXAMPLES / "article_cache.py").read_text().splitlines()
    code = [line for line in lines if line.strip() and not line.strip().startswith(('"""', "#"))]
    assert len(code) <= 45
