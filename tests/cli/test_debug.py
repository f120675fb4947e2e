"""What a bug report says about the machine, and what it omits."""

import json
from collections.abc import Callable

import polars
import pytest

from costaudit import __version__
from tests.conftest import Said


def test_versions_and_paths_are_there_and_no_value_of_the_environment(
    costaudit: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    said = costaudit("debug", "--format", "json")
    facts = json.loads(said.out)
    assert said.code == 0
    assert (facts["costaudit"], facts["polars"]) == (__version__, polars.__version__)
    assert "sk-very-secret" not in said.out
    lines = costaudit("debug").out.splitlines()
    assert [line.split()[0] for line in lines] == list(facts)
