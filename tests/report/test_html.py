"""The page as text and as a tree: its content, and that nothing from a log becomes markup."""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import msgspec
import pytest

from costaudit.contracts.audit import Audit
from costaudit.report.html import MOST_BYTES, HtmlReporter
from costaudit.report.page import SECTIONS
from tests.report.hostile_audit import hostile_audit, huge_audit
from tests.report.sample_audit import AUDIT, NO_PROMPTS

SVG = {
    "svg",
    "rect",
    "line",
    "polyline",
    "polygon",
    "circle",
    "text",
    "title",
    "g",
    "defs",
    "pattern",
}
HTML = {
    "html", "head", "meta", "link", "title", "style", "body", "div", "span", "b", "em", "header",
    "main", "section", "footer", "nav", "a", "h1", "h2", "h3", "p", "ul", "ol", "li", "dl", "dt",
    "dd", "br", "table", "thead", "tbody", "tr", "th", "td", "abbr", "code", "pre", "mark", "small",
    "details", "summary", "figure", "figcaption", "button", "input", "select", "option", "label",
    "script", "i",
}  # fmt: skip


class Tree(HTMLParser):
    """Collect tags, attributes, texts by element id, and the scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: dict[str, str] = {}
        self._script = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._script = (dict(attrs).get("id") or tag) if tag in ("script", "style") else ""

    def handle_data(self, data: str) -> None:
        if self._script:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data
        else:
            self.texts.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._script = ""


@pytest.fixture(scope="module")
def page() -> str:
    return HtmlReporter().render(AUDIT).decode()


@pytest.fixture(scope="module")
def tree(page: str) -> Tree:
    return Tree(page)


def test_golden(matches_golden: Callable[[str, bytes], None], page: str) -> None:
    matches_golden("audit.html", page.encode())


def test_sections_stand_in_the_order_of_the_specification(tree: Tree) -> None:
    found = [attrs["id"] for tag, attrs in tree.tags if tag == "section"]
    # the sample has no sessions and no trials of models
    assert found == [anchor for anchor, _ in SECTIONS if anchor not in ("sessions", "route")]
    linked = {attrs["href"] for tag, attrs in tree.tags if tag == "a"}
    assert {f"#{anchor}" for anchor in found} <= linked <= anchors(tree)


def anchors(tree: Tree) -> set[str]:
    """Return the targets that a link may have."""
    return {f"#{attrs['id']}" for _, attrs in tree.tags if attrs.get("id")}


def test_a_log_without_prompts_leaves_sections_out_and_says_why() -> None:
    tree = Tree(HtmlReporter().render(NO_PROMPTS).decode())
    found = [attrs["id"] for tag, attrs in tree.tags if tag == "section"]
    assert "replay" not in found
    ids = {attrs.get("id") for _, attrs in tree.tags}
    assert "clusters" not in ids and "isolation" not in ids
    linked = {attrs["href"] for tag, attrs in tree.tags if tag == "a"}
    assert linked <= anchors(tree)
    assert "the log has no prompts" in "".join(tree.texts)


def test_the_banner_says_whether_prompts_are_in_it(page: str) -> None:
    assert "This file contains prompts and answers" in page
    assert "No prompts or answers are in this file" in HtmlReporter().render(NO_PROMPTS).decode()


def test_the_whole_audit_is_in_the_page(tree: Tree) -> None:
    assert msgspec.json.decode(tree.scripts["costaudit-data"], type=Audit) == AUDIT


def test_only_our_own_script_and_style_may_run(page: str, tree: Tree) -> None:
    policy = next(a["content"] for t, a in tree.tags if a.get("http-equiv") and t == "meta") or ""
    assert policy.startswith("default-src 'none'")
    for element in ("script", "style"):
        digest = hashlib.sha256(tree.scripts[element].encode()).digest()
        assert f"{element}-src 'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert not re.search(r'\son\w+="', re.sub(r"<script.*?</script>", "", page, flags=re.S))


def test_nothing_is_loaded(tree: Tree) -> None:
    for _, attrs in tree.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href"):
            value = attrs.get(name) or ""
            assert value in ("", "data:,") or value.startswith("#")
        assert "style" not in attrs
    assert not re.search(r"url\((?!#)|@import", tree.scripts["style"])
    assert "fetch(" not in tree.scripts["script"] and "XMLHttp" not in tree.scripts["script"]


def test_hostile_text_adds_no_element_attribute_or_target() -> None:
    tree = Tree(HtmlReporter().render(hostile_audit()).decode())
    assert {tag for tag, _ in tree.tags} <= SVG | HTML
    expected = {
        name for _, attrs in Tree(HtmlReporter().render(AUDIT).decode()).tags for name in attrs
    }
    assert {name for _, attrs in tree.tags for name in attrs} <= expected
    assert all((a.get("href") or "#").startswith(("#", "data:,")) for _, a in tree.tags)
    text = "".join(tree.texts)
    assert "<script>alert(1)</script>" in text  # shown, not run
    assert "{{ 7 * 7 }}" in text and "49" not in text.split("{{ 7 * 7 }}")[0][-3:]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert msgspec.json.decode(tree.scripts["costaudit-data"], type=Audit) == hostile_audit()


def test_a_command_in_a_sentence_is_code_and_markup_in_it_stays_text() -> None:
    change = "Run `costaudit monitor`, not `<b>x</b>`."
    steps = (replace(AUDIT.plan[0], change=change), *AUDIT.plan[1:])
    page = HtmlReporter().render(replace(AUDIT, plan=steps)).decode()
    told = "Run <code>costaudit monitor</code>, not <code>&lt;b&gt;x&lt;/b&gt;</code>."
    assert f'<p class="wrap">{told}</p>' in page


def test_every_table_and_chart_is_there_without_a_script(tree: Tree) -> None:
    tables = [attrs for tag, attrs in tree.tags if tag == "table"]
    assert len(tables) >= 20
    hidden = [attrs for _, attrs in tree.tags if "hidden" in (attrs.get("class") or "").split()]
    assert all("overlays" in str(a["class"]) or "cross" in str(a["class"]) for a in hidden)
    charts = [attrs for _, attrs in tree.tags if attrs.get("role") == "img"]
    assert len(charts) == 4  # sweep, days, hours, replay
    assert all(attrs["aria-label"] for attrs in charts)
    folded = [attrs for tag, attrs in tree.tags if tag == "details"]
    assert folded and not any("open" in attrs for attrs in folded)  # can be opened without a script


def test_every_amount_that_has_a_grade_shows_it(page: str) -> None:
    for grade in ("measured", "simulated", "estimated", "assumed"):
        assert f'<abbr class="grade letter {grade}"' in page


def test_a_huge_audit_fits_and_says_what_was_cut() -> None:
    data = HtmlReporter().render(huge_audit())
    assert len(data) <= MOST_BYTES
    text = data.decode()
    assert "4,200 clusters are here" in text
    assert "of 4,200 thresholds are shown, evenly spread" in text
    assert 'class="pick"' in text  # thinning keeps the recommended threshold


def test_longer_texts_than_a_page_can_carry_are_cut() -> None:
    audit = replace(AUDIT, verdict=replace(AUDIT.verdict, headline="word " * 2_000_000))
    data = HtmlReporter().render(audit)
    assert len(data) <= MOST_BYTES
    assert "characters)" in data.decode()


def test_thresholds_are_translated_for_each_product(tree: Tree) -> None:
    text = "".join(tree.texts)
    for setting in (
        "distance_threshold=0.07",  # RedisVL: 1 - 0.93
        "similarity_threshold=0.965",  # GPTCache: (1 + 0.93) / 2
        "similarity_threshold: 0.93",  # LiteLLM: cosine
        "SEMANTIC_CACHE_SIMILARITY_THRESHOLD=0.93",  # Portkey: cosine
    ):
        assert setting in text
