"""The sweep chart."""

from dataclasses import replace

from costaudit.report.charts.sweep import WIDE_SWEEP, sweep_chart
from costaudit.report.products import PRODUCTS
from tests.report.sample_semantic import SEMANTIC


def test_the_recommended_point_stands_at_its_similarity() -> None:
    chart = sweep_chart(SEMANTIC)
    assert chart and chart.recommended
    share = (0.93 - 0.80) / (0.99 - 0.80)
    expected = WIDE_SWEEP.start + share * (WIDE_SWEEP.stop - WIDE_SWEEP.start)
    assert abs(chart.recommended.at - expected) < 0.1


def test_every_product_has_its_default_marked_once() -> None:
    chart = sweep_chart(SEMANTIC)
    assert chart
    text = " ".join(mark.label for mark in chart.marks)
    for product in PRODUCTS:
        assert product.name in text
    assert any(mark.label.startswith("← 0.60 GPTCache") for mark in chart.marks)


def test_names_of_products_stay_in_the_chart_and_apart() -> None:
    wide = replace(SEMANTIC.points[0], min_similarity=0.70)
    chart = sweep_chart(replace(SEMANTIC, points=(wide, *SEMANTIC.points)))
    assert chart
    taken: dict[int, list[tuple[float, float]]] = {}
    for mark in chart.marks:
        ends = (mark.at, mark.at + 6 * len(mark.label) * (-1 if mark.before else 1))
        start, stop = min(ends), max(ends)
        assert start >= 0 and stop <= WIDE_SWEEP.width  # names stay inside the chart
        for other in taken.setdefault(mark.row, []):  # names on one line don't overlap
            assert stop <= other[0] or other[1] <= start
        taken[mark.row].append((start, stop))
    assert any(mark.before for mark in chart.marks)


def test_slots_cover_the_axis_without_gaps() -> None:
    chart = sweep_chart(SEMANTIC)
    assert chart
    edge = float(WIDE_SWEEP.start)
    for slot in chart.slots:
        assert abs(slot.left - edge) <= 0.15
        assert slot.left <= slot.at <= slot.left + slot.width + 0.15
        edge = slot.left + slot.width
    assert abs(edge - WIDE_SWEEP.stop) <= 0.15


def test_other_settings_have_a_dot_in_every_panel() -> None:
    chart = sweep_chart(SEMANTIC)
    assert chart
    assert [overlay.name for overlay in chart.overlays][:2] == [
        "ttl=3600s fixed",
        "ttl=3600s sliding",
    ]
    assert "scope global" in [overlay.name for overlay in chart.overlays]
    for overlay in chart.overlays:
        assert [style for _, style in overlay.dots] == ["raw", "valid", "unsafe", "net"]


def test_without_thresholds_answers_or_a_recommendation() -> None:
    assert sweep_chart(replace(SEMANTIC, points=())) is None
    bare = tuple(
        replace(one, valid_hit_share=None, unsafe_served_share=None, recommended=False)
        for one in SEMANTIC.points
    )
    chart = sweep_chart(replace(SEMANTIC, points=bare, recommended=None))
    assert chart and chart.recommended is None and chart.overlays == ()
    assert [len(panel.lines) for panel in chart.panels] == [1, 0, 1]
    single = sweep_chart(replace(SEMANTIC, points=SEMANTIC.points[:1]))
    assert single and len(single.slots) == 1
