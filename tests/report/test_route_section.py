"""A trial of a cheaper model is a section of the page and of the Markdown, in both languages."""

from dataclasses import replace
from decimal import Decimal

import pytest

from costaudit.contracts.grades import Estimate, Money
from costaudit.contracts.route import CacheEffect, Router, RouteSection, RouteTopic
from costaudit.pipeline.routing.route import with_trials
from costaudit.report.html import HtmlReporter
from costaudit.report.language import Language, Style, using
from costaudit.report.markdown import MarkdownReporter
from tests.report.sample_audit import AUDIT

USD = Money(Decimal("1234.56"), "estimated", Decimal("1000"), Decimal("1500"))
SHARE = Estimate(0.93, "estimated", 0.9, 0.95)
CODE = "def use_smaller_model(question: str) -> bool:\n    return '<b>' not in question\n"
TRIAL = RouteSection(
    candidate="openai:small-1", judge="openai:judge-1", calls=9_000, spend=USD, sampled=300,
    tried=299, judged=298, right_share=SHARE, verdicts_alone_share=SHARE,
    topics=(RouteTopic("parcel courier", 5_000, USD, 160, 150, SHARE, 0.8),),
    router=Router(CODE, 0.6, SHARE, 0.99),
    caches=CacheEffect(0.5, 0.4, 0.3, Money(Decimal("7.89"), "simulated")),
    saved=USD, saved_all=USD, most_loss=0.05, spent_usd=Decimal("0.12"), note="",
)  # fmt: skip


@pytest.mark.parametrize(("language", "title"), [
    ("en", "Cheaper models, tried on a sample"), ("es", "Modelos más baratos, probados"),
])  # fmt: skip
def test_it_has_its_own_section_with_the_router_to_paste(language: Language, title: str) -> None:
    audit = with_trials(AUDIT, [TRIAL])
    with using(Style(language)):
        page = HtmlReporter().render(audit).decode()
        text = MarkdownReporter().render(audit).decode()
    section = page[page.index('<section id="route">') :]
    section = section[: section.index("</section>")]
    assert title in section and 'href="#route"' in page
    assert "parcel courier" in section and "openai:small-1" in section
    assert "&lt;b&gt;" in section and "<b>&#39; not in" not in section
    assert "openai:small-1" in text and "parcel courier" in text
    assert "By topic" not in section or language == "en"


def test_without_a_trial_there_is_no_section() -> None:
    assert 'id="route"' not in HtmlReporter().render(AUDIT).decode()


def test_a_new_trial_of_a_candidate_replaces_the_earlier_one() -> None:
    other = replace(TRIAL, candidate="openai:small-2")
    again = replace(TRIAL, sampled=600)
    assert with_trials(with_trials(AUDIT, [TRIAL, other]), [again]).routes == (other, again)
