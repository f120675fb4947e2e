"""The README's replay commands work as described, whatever an audit recommends."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import write_log
from tests.conftest import ROOT, ChatbotRun, installed
from tests.replay.conftest import RedisServer

EXAMPLE = ROOT / "docs" / "examples" / "article_cache.py"


def lines() -> list[str]:
    text = (ROOT / "README.md").read_text("utf-8")
    found = re.findall(r"^costaudit (replay .*?) *(?:#.*)?$", text, re.MULTILINE)
    assert [line for line in found if "redis://" in line]
    assert [line for line in found if "my_cache.py:MyCache" in line]
    return found


def replayed(line: str, cwd: Path, run: str, server: RedisServer) -> None:
    """Run a line as printed, except for the run's name and the server's port."""
    words = line.replace("redis://localhost:6379", server.url()).split()
    assert words[1] == "run"
    said = installed(words[0], run, *words[2:], "--format", "json", "--quiet", cwd=cwd)
    assert said.code == 0, said.err
    section = json.loads(said.out)
    served_live = sum(row.get("hit", 0) for row in section["confusion"].values())
    assert served_live > 0 and not section["errors"]
    least = 0.99 if "redis://" in line else 0.8  # MyCache does not compare earlier turns
    assert section["agreed"] / section["requests"] >= least, section["reasons"]
    assert server.key_names() == []


@pytest.mark.parametrize("line", lines())
def test_after_an_audit_that_recommends_exact_matching(
    line: str, tmp_path: Path, redis_server: RedisServer
) -> None:
    write_log(tmp_path / "logs.jsonl")
    (tmp_path / "my_cache.py").write_text(MY_CACHE)
    assert installed("analyze", "logs.jsonl", "--out", "run", "--quiet", cwd=tmp_path).code == 0
    audit = json.loads((tmp_path / "run" / "audit.json").read_text())
    assert audit["semantic"]["recommended"] is None
    replayed(line, tmp_path, "run", redis_server)


@pytest.mark.parametrize("line", lines())
def test_after_the_readme_s_first_command(
    line: str, tmp_path: Path, redis_server: RedisServer, chatbot_run: ChatbotRun
) -> None:
    shutil.copytree(chatbot_run.path, tmp_path / chatbot_run.path.name)
    (tmp_path / "sample_logs").symlink_to(ROOT / "sample_logs")
    (tmp_path / "my_cache.py").write_text(MY_CACHE)
    replayed(line, tmp_path, chatbot_run.path.name, redis_server)


MY_CACHE = '''
class MyCache:
    """Serve the nearest answer of the same scope."""

    fields = ("tenant", "endpoint", "model", "system", "tools")

    def __init__(self):
        self.entries = {}

    def get(self, question, context):
        near = self.entries.get(tuple(sorted(context.scope.items())), [])
        best = max(near, key=lambda entry: float(entry[0] @ context.vector), default=None)
        if best is None:
            return None
        if question == best[1] or float(best[0] @ context.vector) >= context.min_similarity:
            return best[2]
        return next((entry[2] for entry in near if entry[1] == question), None)

    def set(self, question, answer, context):
        self.entries.setdefault(tuple(sorted(context.scope.items())), []).append(
            (context.vector, question, answer)
        )
'''
