"""Code in answers, compared without comments, and the words around it, compared as prose."""

import numpy as np
import pytest

from costaudit.answers.consistency import Consistency, Verdicts
from costaudit.answers.kinds import code_of, same_code
from costaudit.answers.wording import ASSUMED_OVERLAP, Wordings
from tests.answers.builder import WIDE, log_of

DELETE = "```sql\nDELETE FROM orders\nWHERE year < 2020 AND state = 'closed';\nVACUUM orders;\n```"


def fenced(language: str, code: str) -> str:
    return f"```{language}\n{code}\n```"


@pytest.mark.parametrize(
    ("language", "first", "second"),
    [
        ("python", "x = 10 // 2", "x = 10 // 3"),
        ("", "curl https://a.example/x", "curl https://b.example/x"),
        ("bash", "curl https://a.example/x", "curl https://b.example/x"),
        ("c", "#include <a.h>", "#include <b.h>"),
        ("c", "#define WIDTH 3", "#define WIDTH 4"),
        ("css", "a { color: #fff; }", "a { color: #000; }"),
        ("js", 'go("http://a.example");', 'go("http://b.example");'),
        ("python", 'print("a  b")', 'print("a b")'),
        ("python", 'x = """\n# one\n"""', 'x = """\n# two\n"""'),
        ("python", "if x:\n    y()\n    z()", "if x:\n    y()\nz()"),
        ("sql", "SELECT '-- a'", "SELECT '-- b'"),
        ("sql", "/*!50000 DROP TABLE a */;", "/*!50000 DROP TABLE b */;"),
        ("bash", "#!/bin/sh\nls", "#!/bin/bash\nls"),
        ("no-such-language", "a # b", "a # c"),
        ("", "x = 1  # uno", "x = 1  # dos"),
    ],
)
def test_what_only_looks_like_a_comment_is_code(language: str, first: str, second: str) -> None:
    assert not same_code(fenced(language, first), fenced(language, second))
    assert same_code(fenced(language, first), fenced(language, first))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (fenced("python", "x = 1  # one\n\ny = 2"), fenced("py", "x =  1\ny = 2  # dos")),
        (fenced("js", 'f("//a"); // one'), fenced("javascript", 'f("//a");')),
        (fenced("c", "int a; /* one\ntwo */"), fenced("c", "int a;  // one")),
        (fenced("sql", "SELECT 1 -- one\nFROM t"), fenced("sql", "SELECT 1\nFROM  t")),
        (fenced("c++", "int a;"), fenced("cpp title=a.cpp", "int a;")),
        (fenced("", "x = 'a b'"), fenced("python", "x =  'a b'")),
    ],
)
def test_comments_and_spacing_between_tokens_are_no_code(first: str, second: str) -> None:
    assert same_code(first, second)


def test_a_fence_starts_after_white_space_or_a_colon() -> None:
    inline = "Use ```x``` and\nthen ```y``` too."
    assert code_of(inline).blocks == ()
    assert code_of("Así:```py title=a\nx = 1\n```").blocks == ("x = 1",)
    assert code_of("- ```\n  x = 1\n  ```").blocks == ("  x = 1",)


def test_words_are_those_of_prose_and_comments() -> None:
    text = "Así:\n" + fenced("python", "x = 1  # uno\ny = '# dos'") + "\nListo."
    assert code_of(text).words == ("asi:", "listo.", "#", "uno")


def verdicts(first: str, second: str) -> Verdicts:
    log = log_of(["a", "b"], [first, second], answer_vectors=np.tile(np.eye(WIDE)[0], (2, 1)))
    return Consistency(log).judge(np.array([0], np.int32), np.array([1], np.int32))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (f"Never run it on production: it locks the table.\n{DELETE}",
         f"Run it on production: it does not lock the table.\n{DELETE}"),
        (f"Nunca lo ejecute en producción.\n{DELETE}", f"Ejecútelo en producción.\n{DELETE}"),
        (DELETE, f"{DELETE}\nNever run it on production."),
        (DELETE.replace("VACUUM orders;", "VACUUM orders; -- never at noon"), DELETE),
    ],
)  # fmt: skip
def test_equal_code_does_not_make_the_words_around_it_equal(first: str, second: str) -> None:
    assert same_code(first, second)
    assert verdicts(first, second).certain.tolist() == [False]
    assert verdicts(second, first).certain.tolist() == [False]


def test_detectors_read_the_words_around_equal_code() -> None:
    found = verdicts(f"It takes 3 days.\n{DELETE}", f"It takes 4 days.\n{DELETE}")
    assert (found.right.tolist(), found.certain.tolist()) == ([0], [False])
    assert "answer_numbers" in found.names(0)
    found = verdicts(f"Puede ejecutarlo.\n{DELETE}", f"No puede ejecutarlo.\n{DELETE}")
    assert "answer_negation" in found.names(0)
    assert found.certain.tolist() == [False]


def test_equal_code_in_equal_words_is_right() -> None:
    spaced = f"Run this:\n\n{DELETE.replace('AND', '  AND')}"
    found = verdicts(f"run  this:\n{DELETE}", spaced)
    assert (found.right.tolist(), found.certain.tolist()) == ([1], [True])


def test_wordings_compare_the_words_around_equal_code() -> None:
    pairs = [
        (f"Run this on Friday.\n{DELETE}", f"Please run this on Friday.\n{DELETE}", True),
        (f"Run this.\n{DELETE}", DELETE, True),
        (f"Run this on Friday.\n{DELETE}", f"Run this on Monday.\n{DELETE}", False),
        (f"Anyone may use it.\n{DELETE}", f"Ask your administrator before.\n{DELETE}", False),
        (f"Run this.\n{DELETE}", f"Run this.\n{DELETE.replace('<', '>')}", False),
    ]
    for first, second, agrees in pairs:
        said = Wordings([first, second]).agree(np.array([0]), np.array([1]), ASSUMED_OVERLAP)
        assert bool(said[0]) is agrees, (first, second)
