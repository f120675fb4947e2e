"""The README and the help describe what the commands really do."""

import re
import shlex
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer.main

from costaudit import errors
from costaudit.cli.main import app
from tests.conftest import ROOT, installed

README = (ROOT / "README.md").read_text("utf-8")
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
OF_EVERY_VERB = {"--help", "--debug"}


def options(verb: str) -> set[str]:
    return {name for parameter in COMMANDS[verb].params for name in parameter.opts} | OF_EVERY_VERB


def invocations() -> Iterator[tuple[str, list[str]]]:
    """Yield the verb and the words of each `costaudit VERB ...` in the README's code."""
    code = [text for language, text in BLOCK.findall(README) if language in ("console", "yaml")]
    inline = re.findall(r"`(costaudit [^`]+)`", README)
    for text in (*code, *inline):
        for found in re.finditer(r"\bcostaudit ([a-z]+)\b([^\n|;#]*)", text):
            yield found[1], found[2].split()


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_option_and_argument_says_what_it_is(verb: str) -> None:
    command = COMMANDS[verb]
    assert re.match(r"[A-Z][^\n]+\.(\n|$)", command.help), verb
    for parameter in command.params:
        text = getattr(parameter, "help", None)
        assert text and len(text) > 8, f"{verb} {parameter.opts}"


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_option_with_a_value_says_its_default_and_its_unit(verb: str) -> None:
    for one in COMMANDS[verb].params:
        if one.param_type_name != "option" or one.is_flag:
            continue
        required = one.required or "Required" in one.help
        shown = one.default not in (None, "", ()) and one.show_default
        assert required or shown or "[default: " in one.help, f"{verb} {one.opts}"
        assert one.metavar, f"{verb} {one.opts} doesn't say what its value is"
        if one.metavar == "USD":
            assert "US dollars" in one.help, f"{verb} {one.opts}"


@pytest.mark.parametrize("verb", COMMANDS)
def test_help_of_a_verb_is_shown(verb: str) -> None:
    context = typer.Context(COMMANDS[verb], info_name=verb)
    shown = COMMANDS[verb].get_help(context)
    assert shown.startswith("Usage: ")
    assert all(name in shown for name in options(verb) - OF_EVERY_VERB if name.startswith("--"))


def test_the_list_of_verbs_is_not_cut_off() -> None:
    assert (
        "..."
        not in installed("--help", cwd=ROOT, environment={"COLUMNS": "80"}).out.partition(
            "Commands:"
        )[2]
    )


def test_the_readme_shows_the_help(readme_block: Callable[[str, str], None]) -> None:
    readme_block("output:help", installed("--help", cwd=ROOT, environment={"COLUMNS": "80"}).out)


def test_the_readme_uses_only_what_there_is() -> None:
    used = list(invocations())
    assert len(used) > 10
    for verb, words in used:
        assert verb in COMMANDS, verb
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert given <= options(verb), (verb, given - options(verb))


@pytest.mark.parametrize("verb", COMMANDS)
def test_the_readme_shows_every_verb_at_work(verb: str) -> None:
    assert verb in {each for each, _ in invocations()}


def test_the_readme_lists_every_exit_code() -> None:
    table = README.partition("## Exit codes")[2].partition("##")[0]
    listed = {int(code) for code in re.findall(r"(?m)^\| (\d+) \|", table)}
    kinds = [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.CostauditError)
    ]
    raised = {kind.exit_code for kind in kinds}
    assert listed == {0, *raised}


@pytest.mark.parametrize(
    ("name", "parts"), [("audit", ("install", "analyze")), ("test", ("install", "pytest"))]
)
def test_each_of_the_two_commands_is_one_line(name: str, parts: tuple[str, ...]) -> None:
    block = README.partition(f"<!-- command:{name} -->\n```console\n")[2].partition("```")[0]
    (line,) = block.splitlines()
    assert shlex.split(line)[:3] == ["python3", "-m", "venv"]
    assert all(part in line for part in parts)


def test_links_within_the_repository_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_law_of_the_numbers_leads_to_its_test() -> None:
    page = (ROOT / "docs" / "numbers.md").read_text("utf-8")
    laws = re.findall(r"\[(test_\w+\.py)::(test_\w+)\]\(\.\./([^)]+)\)", page)
    assert len(laws) > 30
    assert len(laws) == page.count("](../tests/")
    for file, test, path in laws:
        assert path.endswith(f"/{file}")
        assert re.search(rf"^def {test}\(", (ROOT / path).read_text("utf-8"), re.M), test
