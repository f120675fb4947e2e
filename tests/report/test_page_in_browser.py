"""The page in a real browser: no requests or errors; sorting, search, dark mode and print."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from costaudit.contracts.audit import Audit
from costaudit.report.html import HtmlReporter
from tests.report.browser import ARGUMENTS, CHROMIUM, opened, playwright
from tests.report.hostile_audit import hostile_audit
from tests.report.sample_audit import AUDIT, NO_PROMPTS

axe = pytest.importorskip("axe_playwright_python", reason="axe is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_bytes(HtmlReporter().render(AUDIT))
    return path


@pytest.fixture(scope="module")
def fine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a sweep over 30 thresholds from 0.70, with 0.93 recommended."""
    assert AUDIT.semantic
    one = replace(AUDIT.semantic.points[0], recommended=False)
    points = tuple(
        replace(one, min_similarity=number / 100, recommended=number == 93)
        for number in range(70, 100)
    )
    path = tmp_path_factory.mktemp("fine") / "report.html"
    audit = replace(AUDIT, semantic=replace(AUDIT.semantic, points=points))
    path.write_bytes(HtmlReporter().render(audit))
    return path


def test_charts_are_seen_and_nothing_is_loaded(browser: Any, file: Path) -> None:
    page, wrong = opened(browser, file, viewport={"width": 1200, "height": 900})
    for chart, width in ((".fall", 550), ("#sweep-chart svg:visible", 700)):
        box = page.locator(chart).first.bounding_box()
        assert box["width"] > width and box["height"] > 200
    bars = page.locator(".fall rect")
    assert bars.count() == 7  # spend, the five levers with a saving, spend after
    assert (
        bars.nth(0).bounding_box()["width"]
        > page.locator(".fall .total rect").nth(1).bounding_box()["width"]
        > 100
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert wrong == []


@pytest.mark.parametrize("width", [1280, 390])
def test_explicit_caches_and_sessions_are_folded_into_prompt_caching(
    browser: Any, file: Path, width: int
) -> None:
    page, wrong = opened(browser, file, viewport={"width": width, "height": 900})
    facts = page.locator("#prefix .facts div", has_text="With explicit caches instead")
    assert "$158" in facts.inner_text() and "not part of the total" in facts.inner_text()
    for name, shown in (
        ("Explicit caches for static heads", ("t-mail-1", "3.6M", "$16.20", "$52.25", "$158")),
        ("Simulated cache reads against", ("40", "75.0%", "15.0%", "10.0%")),  # 30, 6, 4 of 40
    ):
        fold = page.locator("#prefix details.fold", has_text=name)
        fold.locator("summary").first.click()
        cells = fold.locator("tbody").last.locator("tr").last.inner_text()
        assert [one for one in shown if one not in cells] == []
        assert fold.locator("table").last.bounding_box()["width"] <= width
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert wrong == []


@pytest.mark.parametrize("width", [1280, 390])
def test_no_label_leaves_the_chart(browser: Any, fine: Path, width: int) -> None:
    page, wrong = opened(browser, fine, viewport={"width": width, "height": 900})
    chart = page.locator("#sweep-chart svg:visible")
    edge = chart.bounding_box()
    labels = chart.locator("text").all()
    assert len(labels) > 20
    for label in labels:
        box = label.bounding_box()
        assert edge["x"] - 1 <= box["x"], label.text_content()
        assert box["x"] + box["width"] <= edge["x"] + edge["width"] + 1, label.text_content()
    products = [label.bounding_box() for label in chart.locator(".default-name").all()]
    for one in products:
        for other in products:
            if one is not other and abs(one["y"] - other["y"]) < 1:
                ends = one["x"] + one["width"], other["x"] + other["width"]
                assert ends[0] <= other["x"] or ends[1] <= one["x"]
    assert wrong == []


def test_the_recommended_threshold_is_seen_at_once(browser: Any, fine: Path) -> None:
    page, wrong = opened(browser, fine, viewport={"width": 390, "height": 900})
    chart, line = page.locator("#sweep-chart"), page.locator("#sweep-chart .slim line.chosen")
    assert 0 < line.bounding_box()["x"] < chart.bounding_box()["width"]
    assert "recommended" in page.locator("#sweep table tr.pick:visible").inner_text()
    page.locator("details", has=page.locator("#sweep-table")).locator("summary").click()
    rows = page.locator("#sweep-table tbody tr:visible")
    pick = page.locator("#sweep-table tr.pick")
    assert pick.is_visible() and "recommended" in pick.inner_text()
    assert rows.count() == 12
    assert "around the recommended one" in page.locator("#sweep .rest:visible").inner_text()
    page.locator("#sweep").get_by_text("Show all 30 rows").click()
    assert rows.count() == 30
    assert wrong == []


def test_a_bar_leads_to_its_section(browser: Any, file: Path) -> None:
    page, wrong = opened(browser, file)
    page.locator(".fall a", has_text="Prompt caching").click()
    assert page.url.endswith("#prefix")
    assert wrong == []


def test_tables_sort_by_value_and_back(browser: Any, file: Path) -> None:
    page, wrong = opened(browser, file)
    table = page.locator("#spend table.data", has=page.locator("th", has_text="tenant")).first
    head = table.locator("th", has_text="cost")
    page.locator("summary", has_text="By tenant").click()

    def column() -> list[str]:
        return [str(text) for text in table.locator("tbody tr td:first-child").all_inner_texts()]

    assert column() == ["northwind", "contoso", "fabrikam"]
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert column() == ["northwind", "contoso", "fabrikam"]
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column() == ["fabrikam", "contoso", "northwind"]
    table.locator("th", has_text="tenant").get_by_role("button").click()
    assert column() == ["contoso", "fabrikam", "northwind"]
    assert wrong == []


def test_search_and_filter_hide_what_does_not_match(browser: Any, file: Path) -> None:
    page, wrong = opened(browser, file)
    days = page.locator("details", has_text="By day: the numbers").locator("table")
    assert days.locator("tbody tr:not(.hidden)").count() == 12  # of 30
    page.locator("#search").fill("2026-06-2")
    assert days.locator("tbody tr:visible").all_inner_texts()[0].startswith("2026-06-20")
    assert days.locator("tbody tr:not(.hidden)").count() == 10
    assert "10 table rows match" in page.locator("#found").inner_text()
    page.locator("#search").fill("")
    page.locator("details", has_text="By day: the numbers").get_by_text("Show all").click()
    assert days.locator("tbody tr:not(.hidden)").count() == 30
    assert wrong == []


def test_the_chart_answers_the_pointer_and_shows_other_settings(browser: Any, file: Path) -> None:
    page, wrong = opened(browser, file, viewport={"width": 1200, "height": 900})
    page.locator("#sweep-chart .slot").nth(3).hover()
    assert page.locator("#sweep-said").inner_text().startswith("similarity 0.90 · all 18.9%")
    assert page.locator("#sweep-table tr.hover td").first.text_content() == "0.90"
    page.locator("#overlay").select_option(label="ttl=3600s fixed")
    assert page.locator("#sweep-chart .overlays circle:visible").count() == 4
    assert wrong == []


def test_the_buttons_save_the_audit(browser: Any, file: Path, tmp_path: Path) -> None:
    page, wrong = opened(browser, file, accept_downloads=True)
    saved = {}
    for button in ("save-json", "save-csv"):
        with page.expect_download() as download:
            page.locator(f"#{button}").click()
        saved[button] = tmp_path / download.value.suggested_filename
        download.value.save_as(saved[button])
    assert msgspec.json.decode(saved["save-json"].read_bytes(), type=Audit) == AUDIT
    assert saved["save-csv"].read_bytes().startswith(b"section,group,measure,unit,value")
    assert wrong == []


def test_copy_gives_the_configuration(browser: Any, file: Path) -> None:
    page, wrong = opened(browser, file, permissions=["clipboard-read", "clipboard-write"])
    page.locator("#settings summary").click()
    page.locator(".product", has_text="RedisVL").first.get_by_text("Copy").click()
    page.get_by_text("Copied").wait_for()
    assert "distance_threshold=0.07" in page.evaluate("navigator.clipboard.readText()")
    assert wrong == []


def test_everything_is_seen_without_a_script(browser: Any, file: Path) -> None:
    page, wrong = opened(browser, file, java_script_enabled=False)
    for fold in page.locator("details > summary").all():
        if fold.is_visible():
            fold.click()
    for fold in page.locator("details details > summary").all():
        fold.click()
    for table in page.locator("table").all():
        assert table.is_visible()
    for chart in page.locator(".chart svg.wide").all():
        assert chart.is_visible()
    assert page.locator("tbody tr:visible").count() == page.locator("tbody tr").count()
    assert not page.locator("#search").is_visible()  # features that need a script are hidden
    assert wrong == []


def test_it_follows_the_dark_mode_of_the_system(browser: Any, file: Path) -> None:
    colours = {}
    for scheme in ("light", "dark"):
        page, _ = opened(browser, file, color_scheme=scheme)
        colours[scheme] = page.evaluate(
            "[document.body, document.querySelector('.fall rect')].map(one =>"
            " [getComputedStyle(one).backgroundColor, getComputedStyle(one).fill]).flat()"
        )
    assert colours["light"][0] == "rgb(251, 250, 248)"
    assert colours["dark"][0] == "rgb(20, 23, 26)"
    assert colours["light"][3] != colours["dark"][3]  # bars change colour too


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_no_screen_scrolls_sideways(browser: Any, file: Path, width: int) -> None:
    page, _ = opened(browser, file, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scripted", [True, False])
@pytest.mark.parametrize("width", [360, 390])
def test_on_a_telephone_nothing_scrolls_sideways(
    browser: Any, file: Path, width: int, scripted: bool
) -> None:
    """Even code is wrapped, and the measured columns are visible without scrolling."""
    page, _ = opened(
        browser,
        file,
        viewport={"width": width, "height": 800},
        java_script_enabled=scripted,
    )
    if scripted:
        page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true; })")
    sideways = page.locator(".page *").evaluate_all(
        "all => all.filter(one => one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0"
        " && getComputedStyle(one).overflowX !== 'visible').map(one => one.outerHTML.slice(0, 80))"
    )
    assert sideways == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for cell in page.locator("#replay table >> nth=0 >> td").all():
        box = cell.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width


def test_on_a_telephone_charts_are_legible(browser: Any, file: Path) -> None:
    page, wrong = opened(browser, file, viewport={"width": 390, "height": 800})
    page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true; })")
    charts = page.locator(".chart svg:visible")
    assert charts.count() == page.locator(".chart").count() > 2
    sizes = charts.locator("text").evaluate_all(
        "all => all.map(one => parseFloat(getComputedStyle(one).fontSize)"
        " * one.ownerSVGElement.clientWidth / one.ownerSVGElement.viewBox.baseVal.width)"
    )
    assert min(sizes) >= 11
    for chart in charts.all():
        edge = chart.bounding_box()
        for label in chart.locator("text").all():
            box = label.bounding_box()
            assert edge["x"] - 1 <= box["x"], label.text_content()
            assert box["x"] + box["width"] <= edge["x"] + edge["width"] + 1, label.text_content()
    assert wrong == []


def test_a_card_names_each_of_its_cells(browser: Any, file: Path) -> None:
    page, _ = opened(browser, file, viewport={"width": 390, "height": 800})
    row = page.locator("#sweep-table tr.pick")
    names = row.locator("td").evaluate_all(
        "all => all.map(one => getComputedStyle(one, '::before').content)"
    )
    assert [name.strip('"') for name in names] == [
        "similarity ≥", "hits", "raw hits", "valid hits", "wrong answers", "net a month",
        "entries at peak",
    ]  # fmt: skip
    page.locator("details", has=page.locator("#sweep-table")).locator("summary").click()
    tops = row.locator("td").evaluate_all("all => all.map(one => one.offsetTop)")
    assert tops == sorted(set(tops))  # cells are stacked


def test_paper_has_light_colours_few_pages_and_no_buttons(browser: Any, file: Path) -> None:
    page, wrong = opened(browser, file, color_scheme="dark", viewport={"width": 760, "height": 900})
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    # closed sections aren't printed
    assert page.locator("details:not([open]):visible").count() == 0
    assert not page.locator("nav").is_visible()
    assert page.locator("button:not(thead button):visible").count() == 0
    too_wide = page.locator("table:visible").evaluate_all(
        "all => all.filter(one => one.getBoundingClientRect().right > innerWidth + 1).length"
    )
    assert too_wide == 0
    pdf = page.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF-") and 3 <= pdf.count(b"/Type /Page\n") <= 10
    assert wrong == []


def test_the_first_screen_answers_in_a_minute(browser: Any, file: Path) -> None:
    """Spend, spend after, range, waterfall, three actions and assumptions need no scrolling."""
    page, wrong = opened(browser, file, viewport={"width": 1280, "height": 900})
    for part in ("h1", "#verdict > .lead", ".fall", ".todo", ".three"):
        box = page.locator(part).first.bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 900, part
    assert page.locator(".todo li").count() == 3
    text = page.locator("#verdict").inner_text()
    for said in ("$41,200", "$31,350", "Effort:", "Risk:", "How far the log supports this"):
        assert said in text
    assert page.locator(".fall .name", has_text="After").count() == 1
    assert wrong == []


def test_a_term_is_explained_on_focus(browser: Any, file: Path) -> None:
    page, wrong = opened(browser, file)
    page.locator("#sweep .term").first.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    shown = page.evaluate("getComputedStyle(document.activeElement, '::after').content")
    assert "similarity" in shown.lower()
    assert wrong == []


@pytest.mark.parametrize(
    "prompts",
    [True, pytest.param(False, marks=pytest.mark.slow)],
    ids=["prompts", "no prompts"],
)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_axe_finds_nothing_serious(
    browser: Any, tmp_path: Path, width: int, scheme: str, prompts: bool
) -> None:
    file = tmp_path / "report.html"
    file.write_bytes(HtmlReporter().render(AUDIT if prompts else NO_PROMPTS))
    page, _ = opened(browser, file, color_scheme=scheme, viewport={"width": width, "height": 900})
    page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true; })")
    page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text("utf-8"))
    found = page.evaluate("axe.run().then(all => all.violations)")
    serious = [
        (one["id"], one["nodes"][0]["html"][:120])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_all_of_it_works_from_the_keyboard(browser: Any, file: Path) -> None:
    """Tab reaches the search, buttons, sections and column heads in order; Enter activates them."""
    page, wrong = opened(browser, file, viewport={"width": 1280, "height": 900})
    reached: list[str] = []
    for _ in range(2_000):
        page.keyboard.press("Tab")
        here = page.evaluate(
            "(() => { const one = document.activeElement; return one === document.body ? null :"
            " [one.tagName, one.id || one.textContent.trim().slice(0, 40),"
            " getComputedStyle(one).outlineStyle] })()"
        )
        if here is None:
            break
        tag, name, outline = here
        assert outline != "none", name  # the focus is visible
        reached.append(tag)
        if tag == "SUMMARY":
            page.keyboard.press("Enter")
            assert page.evaluate("document.activeElement.parentElement.open"), name
        elif tag == "BUTTON" and page.evaluate("!!document.activeElement.closest('thead')"):
            page.keyboard.press("Enter")
            sorted_by = "document.activeElement.closest('th').ariaSort"
            assert page.evaluate(sorted_by) in ("ascending", "descending"), name
    assert {"INPUT", "BUTTON", "SUMMARY", "A"} <= set(reached)
    assert reached.count("SUMMARY") == page.locator("summary:visible").count()
    assert page.locator("details:not([open]) > summary:visible").count() == 0
    assert wrong == []


def test_a_hostile_log_runs_nothing(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    path.write_bytes(HtmlReporter().render(hostile_audit()))
    page, wrong = opened(browser, path)
    page.locator("#search").fill("<script>")
    for button in page.locator("thead button").all()[:20]:
        button.evaluate("button => button.click()")
    assert page.locator("img, iframe, object, embed").count() == 0
    assert wrong == []
