"""Sixteen planted causes of lost cache reads are found with their place, money and mend."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from costaudit.contracts.run_dir import RunDir
from costaudit.costing.tariff import lost_usd
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions
from costaudit.pipeline.loaded import Loaded, load
from costaudit.pipeline.prompt_caching import PromptCaches
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import SilentProgress
from costaudit.simulate.prefix.breakers.breakers import BreakerFacts
from tests.simulate.prefix.planted import CALLS, CAUSES, planted, records, twin, usd

NEAR = 0.15  # tolerance, as a share of the dollars that the mended twin saves
ENOUGH = 15  # causes, of sixteen
MENDS = {  # words that the advice must contain
    "timestamp": "time", "uuid": "identifier", "counter": "number", "user": "user",
    "tool_order": "Sort the tools", "tool_set": "same tools", "json_key_order": "sorted keys",
    "tool_changed": "tool descriptions", "whitespace": "white space",
    "tool_choice": "tool_choice", "thinking": "thinking", "ttl_gap": "longer lifetime",
    "no_markers": "Mark the end", "marker_placement": "Set the marker",
    "history_rewritten": "Append to the history", "model_switch": "one model",
}  # fmt: skip
NOT_FOUND = ("tool_set",)  # a tool that comes and goes; both prefixes stay cached


@dataclass(frozen=True)
class Outcome:
    """What was found for one cause."""

    cause: str
    kind: str
    where: str
    usd: float
    true_usd: float
    mend: str

    @property
    def right(self) -> tuple[bool, bool, bool, bool]:
        """Return whether the cause, place, money and mend are each right."""
        one = CAUSES[self.cause]
        settings = {"pause": "pause", "model": "model", "settings": "settings"}
        return (
            self.kind == one.kind,
            settings.get(one.where, one.where) in self.where,
            abs(self.usd - self.true_usd) <= NEAR * self.true_usd,
            MENDS[self.cause] in self.mend,
        )


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    folder = tmp_path_factory.mktemp("planted")
    path = folder / "log.jsonl"
    with path.open("w") as file:
        for cause in CAUSES:
            file.writelines(json.dumps(one) + "\n" for one in records(planted(cause), f"/{cause}"))
    run = RunDir(folder / "run")
    ingest([str(path)], run, IngestOptions(), SilentProgress())
    log = load(run, AnalyzeOptions())
    assert len(log.requests) == CALLS * len(CAUSES) == 2_000
    return list(_outcomes(log))


def _outcomes(log: Loaded) -> Iterator[Outcome]:
    templates = PromptCaches(log).facts.templates
    for cause in CAUSES:
        mine = [b for one in templates if one.endpoint == f"/{cause}" for b in one.breakers]
        true = usd(planted(cause)) - usd(twin(cause))
        if not mine:
            yield Outcome(cause, "nothing", "", 0.0, true, "")
            continue
        money = {id(one): float(lost_usd(one.saved, log.tariff.billed)) for one in mine}
        first: BreakerFacts = max(mine, key=lambda one: money[id(one)])
        yield Outcome(cause, first.kind, first.where, money[id(first)], true, first.mend)


def test_fifteen_of_sixteen_causes_are_found_with_place_money_and_mend(
    outcomes: list[Outcome],
) -> None:
    for one in outcomes:
        marks = " ".join("yes" if right else "NO " for right in one.right)
        print(
            f"{one.cause:18} {one.kind:18} {one.where[:44]:44} "
            f"${one.usd:7.4f} of ${one.true_usd:7.4f}  {marks}"
        )
    wrong = [one for one in outcomes if not all(one.right)]
    assert len(outcomes) - len(wrong) >= ENOUGH, wrong
    assert {one.cause for one in wrong} <= set(NOT_FOUND), wrong
