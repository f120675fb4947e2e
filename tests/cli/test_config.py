"""A configuration file sets the defaults of a verb, and the command line overrides it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import write_log
from tests.conftest import Said

Run = Callable[..., Said]


def test_a_table_of_the_verb_sets_its_options(costaudit: Run, tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl")
    (tmp_path / "costaudit.toml").write_text(
        '[analyze]\nmax-wrong = "3%"\nwhere = ["endpoint!=none"]\nformat = "json"\nquiet = true\n'
        'max-entries = 5\n[report]\nformat = "md"\n'
    )
    said = costaudit("analyze", "log.jsonl", "--config", "costaudit.toml")
    assert (said.code, said.err) == (0, "")
    assert json.loads(said.out)["semantic"]["max_wrong_share"] == 0.03


def test_the_command_line_goes_before_it(costaudit: Run, tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl")
    (tmp_path / "costaudit.toml").write_text('[analyze]\nmax-wrong = "3%"\nformat = "csv"\n')
    said = costaudit(
        "analyze", "log.jsonl", "--format", "json", "--config", "costaudit.toml", "--max-wrong=2%"
    )
    assert said.code == 0
    assert json.loads(said.out)["semantic"]["max_wrong_share"] == 0.02


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[analyze]\nmax-wrongs = "3%"\n', "no option 'max-wrongs'"),
        ('[analyze]\nmax_wrongs = "3%"\n', "The nearest is 'max-wrong'"),
        ("[analyse]\n", "The nearest is [analyze]"),
        ('[analyze]\nmax-wrong = "lots"\n', "'lots'"),
        ("[analyze]\nmax-entries = 'many'\n", "--max-entries"),
        ("analyze = 3\n", "no table"),
        ("[analyze\n", "can't be read"),
    ],
)
def test_what_cant_be_used_is_named(costaudit: Run, tmp_path: Path, text: str, what: str) -> None:
    write_log(tmp_path / "log.jsonl")
    (tmp_path / "costaudit.toml").write_text(text)
    said = costaudit("analyze", "log.jsonl", "--config", "costaudit.toml")
    assert said.code == 2
    assert what in said.err and "Traceback" not in said.err


def test_every_verb_that_has_options_takes_a_file() -> None:
    from typer.core import TyperGroup
    from typer.main import get_command

    from costaudit.cli.main import app

    group = get_command(app)
    assert isinstance(group, TyperGroup)
    for name, verb in group.commands.items():
        assert "config" in {one.name for one in verb.params}, name
