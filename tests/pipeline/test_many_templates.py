"""A log of more templates than a report lists: what is listed is right, the rest is added up."""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from costaudit.contracts.prefix import OtherTemplates, TemplateRow
from costaudit.contracts.run_dir import RunDir
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions
from costaudit.pipeline.drill import ENDPOINTS, TEMPLATES, drilled
from costaudit.pipeline.loaded import Loaded, load
from costaudit.pipeline.prompt_caching import MOST_TEMPLATES, PromptCaches
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import SilentProgress
from costaudit.report.tables.prefix import others_line
from tests.ingest.conftest import chat, write_lines

PLACES, SYSTEMS, EACH = 28, 40, 4  # endpoints, their system prompts, and requests of each
MODELS = ("gpt-4o-2024-08-06", "gpt-4o-2024-11-20")  # at one price; an endpoint has few each
RATE = Decimal("2.50") / 10**6  # input
START = datetime(2026, 10, 5, tzinfo=UTC)


def rules(number: int) -> str:
    """Return a system prompt of words that no other template has."""
    own = "".join(chr(97 + number // 26**place % 26) for place in range(3))
    return " ".join(f"{chr(97 + n % 26)}{own}{chr(97 + n // 26 % 26)}" for n in range(450))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """Ingest requests whose input grows with their number; the time breaks each one's prefix."""
    folder: Path = tmp_path_factory.mktemp("many")
    lines = []
    for number in range(PLACES * SYSTEMS * EACH):
        template = number // EACH
        at = START + timedelta(seconds=20 * (number % EACH) + 1600 * template)
        line = chat(
            number,
            f"Ask {number}?",
            system=f"It is {at:%Y-%m-%d %H:%M:%S}.\n{rules(template)}",
            tokens=(3_000 + number, 0, 0),
            request_id=f"r{number}",
            endpoint=f"/e{template // SYSTEMS}",
        )
        line["response"]["model"] = MODELS[template % 2]
        line["timestamp"] = at.isoformat()
        lines.append(line)
    write_lines(folder / "log.jsonl", lines)
    run = RunDir(folder / "run")
    ingest([str(folder / "log.jsonl")], run, IngestOptions(), SilentProgress())
    return load(run, AnalyzeOptions())


def test_each_endpoint_has_its_dearest_templates_and_their_requests(log: Loaded) -> None:
    template = PromptCaches(log).facts.template
    names = tuple(f"t{n}" for n in range(int(template.max()) + 1))
    spent = drilled(log, template, names)
    tokens: dict[str, Counter[str]] = defaultdict(Counter)
    of_requests: dict[str, dict[str, int]] = defaultdict(dict)
    for call, group in zip(log.requests.iter_rows(named=True), template, strict=True):
        tokens[call["endpoint"]][names[group]] += call["input_uncached_tokens"]
        of_requests[names[group]][call["request_id"]] = call["input_uncached_tokens"]
    dearest = sorted(tokens, key=lambda one: -tokens[one].total())[:ENDPOINTS]
    assert [one.endpoint for one in spent.drill] == dearest
    for one in spent.drill:
        assert one.all_templates == len(tokens[one.endpoint]) == SYSTEMS
        expected = tokens[one.endpoint].most_common(TEMPLATES)
        assert [(row.template_id, row.usd) for row in one.templates] == [
            (name, amount * RATE) for name, amount in expected
        ]
        for row in one.templates:
            known = of_requests[row.template_id]
            by_size = sorted(known, key=lambda one: -known[one])
            assert [each.request_id for each in row.samples] == [by_size[n] for n in (0, 1, 3)]
            assert all(each.usd == known[each.request_id] * RATE for each in row.samples)


def test_templates_that_are_not_listed_are_added_up(log: Loaded) -> None:
    caches = PromptCaches(log)
    section = caches.section()
    others = section.other_templates
    assert others is not None
    assert len(section.templates) == MOST_TEMPLATES
    assert others.templates == len(caches.facts.templates) - MOST_TEMPLATES > 0
    rows: list[TemplateRow | OtherTemplates] = [*section.templates, others]
    assert sum(row.requests for row in rows) == len(log.requests)
    assert sum(row.input_tokens for row in rows) == log.requests["input_uncached_tokens"].sum()
    mean = others.input_tokens / others.templates
    assert mean < min(row.input_tokens for row in section.templates)
    saved = sum((row.saving_month.usd for row in rows), Decimal(0))
    assert others.saving_month.usd > 0
    assert saved == pytest.approx(section.saving_month.usd, rel=Decimal("1e-5"))
    by_part = Counter({one.part: one.tokens for one in section.parts})
    assert by_part.total() == sum(row.input_tokens for row in rows)
    assert f"{others.templates} templates with less input are not listed" in others_line(others)
