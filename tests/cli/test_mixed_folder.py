"""A folder with mixed files costs what its parts cost, and unreadable files are reported."""

import json
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from costaudit.contracts.requests import TOKEN_CLASSES
from tests.conftest import Said
from tests.ingest.conftest import chat, write_lines

FORMATS = Path(__file__).parents[2] / "sample_logs" / "formats"
SAMPLES = ("anthropic_messages.jsonl", "claude_code.jsonl")
Run = Callable[..., Said]
MAP = """ts = "Fecha"
model = "Modelo"
input_tokens = "Entrada"
output_tokens = "Salida"
"""
ROWS = "".join(f"{day}/10/2026;gpt-4o;1.2{day};3{day}\n" for day in range(10, 29))


def folder(path: Path) -> Path:
    """Fill a folder with logs of four kinds, a binary file, an empty file and two documents."""
    path.mkdir()
    write_lines(path / "openai.jsonl", [chat(n, f"Question {n}") for n in range(7)])
    for name in SAMPLES:
        text = (FORMATS / name).read_text("utf-8")
        (path / name).write_text(text.replace("msg_", f"msg_{name[:3]}_"), "utf-8")
    (path / "people.csv").write_text(f"Fecha;Modelo;Entrada;Salida\n{ROWS}", "latin-1")
    (path / "day.bin").write_bytes(bytes(range(256)) * 40)
    (path / "none.jsonl").write_bytes(b"")
    (path / "README.md").write_text("# Logs\n\nOf October.\n")
    (path / "read.py").write_text("import json\n")
    return path


def spent(costaudit: Run, name: str, out: str) -> tuple[Any, tuple[int, ...]]:
    """Return the output of `spend`, and the tokens of each class."""
    said = costaudit("spend", name, "--map", "*people.csv=people.toml", "--format", "json",
                     "--out", out)  # fmt: skip
    assert said.code == 0, said.err
    requests = pl.read_parquet(Path(out) / "requests.parquet")
    return json.loads(said.out), requests.select(TOKEN_CLASSES).sum().row(0)


def test_a_mixed_folder_costs_what_its_parts_cost(costaudit: Run, tmp_path: Path) -> None:
    logs = folder(tmp_path / "logs")
    (tmp_path / "people.toml").write_text(MAP)
    whole, tokens = spent(costaudit, "logs", "whole")
    parts = []
    for number, path in enumerate(sorted(logs.iterdir())):
        if path.name.startswith(("day", "none", "README", "read")):
            continue
        alone = tmp_path / f"part {number}"
        alone.mkdir()
        shutil.copy(path, alone / path.name)
        if path.name != "people.csv":
            shutil.copy(logs / "people.csv", alone / "people.csv")
        parts.append(spent(costaudit, alone.name, f"out {number}"))
    people, people_tokens = next(one for one in parts if one[0]["total"]["requests"] == 19)
    others = len(parts) - 1
    usd = sum(Decimal(said["total"]["total_usd"]) for said, _ in parts)
    assert Decimal(whole["total"]["total_usd"]) == usd - others * Decimal(
        people["total"]["total_usd"]
    )
    added = [sum(each) for each in zip(*(counts for _, counts in parts), strict=True)]
    twice = [others * count for count in people_tokens]
    assert list(tokens) == [a - b for a, b in zip(added, twice, strict=True)]
    skips = pl.read_parquet(tmp_path / "whole" / "skips.parquet").filter(source_offset=-1)
    assert sorted(skips["source_file"]) == ["README.md", "day.bin", "none.jsonl", "read.py"]
    assert "day.bin holds neither JSON nor a table." in skips["detail"].to_list()


def test_only_what_may_be_a_log_makes_the_total_a_lower_bound(
    costaudit: Run, tmp_path: Path
) -> None:
    folder(tmp_path / "logs")
    (tmp_path / "people.toml").write_text(MAP)
    said = costaudit("spend", "logs", "--map", "*people.csv=people.toml")
    text = " ".join((said.err + said.out).split())
    assert "1 of 6 files could not be read: the total is a lower bound." in text


def test_lost_files_are_said_in_spanish_and_in_an_audit(costaudit: Run, tmp_path: Path) -> None:
    """One of two logs is unreadable: the total is marked as a lower bound everywhere."""
    logs = tmp_path / "logs"
    logs.mkdir()
    write_lines(logs / "a.jsonl", [chat(n, f"Question {n}") for n in range(7)])
    (logs / "b.jsonl").write_bytes(bytes(range(1, 256)) * 40)
    english = "1 of 2 files could not be read: the total is a lower bound."
    spanish = "No se han podido leer 1 de 2 ficheros: el total es una cota inferior."
    for lang, expected in (("en", english), ("es", spanish)):
        said = costaudit("spend", "logs", "--lang", lang)
        assert expected in " ".join((said.err + said.out).replace("\xa0", " ").split())
