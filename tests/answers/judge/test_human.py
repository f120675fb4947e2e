"""Forms that a person fills in."""

import csv
from pathlib import Path

import pytest

from costaudit.answers.judge.judge import JudgeItem
from costaudit.answers.judge.verdicts import (
    COLUMNS,
    StoredVerdict,
    VerdictStore,
    read_form,
    write_form,
)
from costaudit.errors import InputError

ITEMS = [JudgeItem("How much, señor?", "=SUM(A1)", "How much?", 'It\'s "5",\n€'),
         JudgeItem("When?", "Now", "When?", "Later")]  # fmt: skip


@pytest.mark.parametrize("name", ["form.csv", "form.jsonl"])
def test_a_form_comes_back_with_its_verdicts(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    write_form(ITEMS, path)
    assert read_form(path) == []
    text = path.read_bytes()
    if name.endswith("csv"):
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows[0]["logged_answer"] == "'=SUM(A1)"  # a spreadsheet runs no formula
        rows[0]["verdict"], rows[1]["verdict"] = "right", " Wrong "
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    else:
        first, second, _ = text.split(b"\n")
        filled = [first.replace(b'"verdict":""', b'"verdict":"right"'),
                  second.replace(b'"verdict":""', b'"verdict":"wrong"')]  # fmt: skip
        path.write_bytes(b"\n".join(filled))
    found = read_form(path)
    assert [(v.key, v.right) for v in found] == [(ITEMS[0].key, True), (ITEMS[1].key, False)]


def test_a_form_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "form.csv"
    write_form(ITEMS, path)
    with pytest.raises(InputError, match="exists already"):
        write_form(ITEMS, path)


@pytest.mark.parametrize(
    ("content", "message"),
    [("key,verdict\nabc,maybe\n", "line 2 has the verdict 'maybe'"),
     ("verdict\nright\n", "line 2 has no key"),
     ("key,verdict\n\xff", "can't be read")],
)  # fmt: skip
def test_a_broken_form_says_where(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "form.csv"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=message):
        read_form(path)


def test_a_broken_store_says_where(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.jsonl"
    store = VerdictStore(path)
    store.append(StoredVerdict("k", "j", True, "", "0"))
    path.write_bytes(b"nonsense\n" + path.read_bytes())
    with pytest.raises(InputError, match="line 1 is no verdict"):
        store.load("j")
