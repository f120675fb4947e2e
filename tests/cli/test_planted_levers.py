"""All planted waste is found at its true size, and nothing else, also not in a clean log."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from tests.conftest import Said
from tests.levers.planted_log import (
    DAYS,
    MACHINE_USD,
    PLANTS,
    calls,
    clean,
    nightly_vectors,
    truth,
    write,
)

Run = Callable[..., Said]
MONTH = Decimal(30)


def test_each_planted_waste_is_found_and_nothing_else_is_proposed(
    costaudit: Run, tmp_path: Path
) -> None:
    made = calls(clean, *PLANTS)
    wasted = truth(made)
    assert len(wasted) >= 16
    said = costaudit("levers", str(write(tmp_path / "log.jsonl", made)), "--format", "json", "-q")
    assert said.code == 0
    told = json.loads(said.out)
    found: dict[str, Decimal] = {}
    for row in told:
        for unit in row.get("units", ()):
            name = f"waste: {unit['unit']}" if row["lever"] == "waste" else row["lever"]
            found[name] = found.get(name, Decimal(0)) + Decimal(unit["alone"]["usd"])
    assert found.keys() == wasted.keys()
    days = Decimal(str((made[-1].at - made[0].at).total_seconds())) / 86_400
    assert abs(days - DAYS) < 1
    for name, usd in wasted.items():
        month = usd * MONTH / days - (MACHINE_USD if name == "small_model" else 0)
        assert abs(found[name] / month - 1) < Decimal("0.15"), (name, found[name], month)
    assert not [row["label"] for row in told if "units" not in row]  # nothing more to test


def test_nothing_is_proposed_for_a_clean_log(costaudit: Run, tmp_path: Path) -> None:
    log = write(tmp_path / "log.jsonl", calls(clean))
    said = costaudit("levers", str(log), "--format", "json", "--quiet")
    assert (said.code, json.loads(said.out)) == (0, [])


def test_nightly_embeddings_are_a_batch(costaudit: Run, tmp_path: Path) -> None:
    made = calls(clean, nightly_vectors)
    log = write(tmp_path / "log.jsonl", made)
    (row,) = json.loads(costaudit("levers", str(log), "--format", "json", "--quiet").out)
    assert (row["lever"], row["requests"]) == ("batch", 40 * DAYS)
    days = Decimal(str((made[-1].at - made[0].at).total_seconds())) / 86_400
    month = truth(made)["batch"] * MONTH / days
    assert abs(Decimal(row["alone"]["usd"]) / month - 1) < Decimal("0.15")
