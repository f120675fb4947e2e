"""Comparison of two audits."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from costaudit.contracts.audit import Audit
from costaudit.contracts.month import MonthFacts
from costaudit.contracts.semantic import ClusterCentres
from costaudit.report.compare import compare
from tests.report.sample_audit import AUDIT, NO_PROMPTS
from tests.report.sample_cost import money


def with_spend(usd: str, low: str | None = None, high: str | None = None) -> Audit:
    before = money(usd, "estimated", low, high)
    return replace(AUDIT, ledger=replace(AUDIT.ledger, before=before))


def test_an_audit_is_equal_to_itself() -> None:
    compared = compare(AUDIT, AUDIT)
    assert {change.verdict for change in compared.changes} == {"identical"}
    assert not any(compared.moved.values())
    assert not compared.new_findings and not compared.gone_clusters


def test_the_noise_of_spend_is_that_of_the_month() -> None:
    # Each range is for a coming month: half widths 200 and 240, whose root mean square is 220.9.
    base = with_spend("3000", "2800", "3200")
    spend = compare(base, with_spend("3200", "2960", "3440")).spend
    assert spend.difference == 200
    assert spend.noise == pytest.approx(Decimal("220.91"), abs=Decimal("0.01"))
    assert spend.within_noise
    assert spend.verdict == "+$200 (+6.7%), within noise (±$221)"
    assert not compare(base, with_spend("3400", "3160", "3640")).spend.within_noise


def test_without_a_range_there_is_no_noise_and_no_excuse() -> None:
    spend = compare(with_spend("3000"), with_spend("3001")).spend
    assert spend.noise is None and not spend.within_noise
    assert spend.verdict == "+$1.00 (+0.03%)"


def test_months_and_logs_are_not_compared() -> None:
    short = replace(AUDIT, month=MonthFacts("log", 0.5, 0.5))
    found = compare(AUDIT, short)
    assert "new log is too short for a month" in found.headline and found.why_not
    assert "baseline is too short" in compare(short, AUDIT).headline
    assert compare(short, short).headline.startswith("Spend went from")
    assert "in the log" in compare(short, short).headline


def test_the_unpriced_share_comes_before_the_costs() -> None:
    dear = replace(AUDIT, spend=replace(AUDIT.spend, unpriced_share=0.5))
    assert "50.0% now: the costs can't be compared" in compare(AUDIT, dear).headline


def test_intervals_are_the_noise_of_estimates() -> None:
    verdict = replace(AUDIT.verdict, saving=money("10500", "estimated", "9510", "11490"))
    saving = compare(AUDIT, replace(AUDIT, verdict=verdict)).changes[1]
    # half widths (10,840 - 8,860) / 2 = 990 and (11,490 - 9,510) / 2 = 990
    assert saving.noise == pytest.approx(Decimal("990"), abs=Decimal("0.01"))
    assert saving.difference == 650 and saving.within_noise


def test_what_one_side_lacks_can_not_be_compared() -> None:
    compared = compare(AUDIT, NO_PROMPTS)
    valid = next(change for change in compared.changes if change.name == "Valid semantic hits")
    assert valid.verdict == "can't be compared"
    assert compared.gone_findings and not compared.new_findings
    assert set(compared.gone_clusters) == {
        "reset password account", "return order days", "pro plan billed yearly",
    }  # fmt: skip


def test_where_no_threshold_is_recommended_exact_matching_is_compared() -> None:
    assert AUDIT.semantic
    exact = replace(AUDIT.semantic.points[-1], min_similarity=1.01)
    semantic = replace(AUDIT.semantic, points=(), recommended=None, exact=exact)
    by_name = {one.name: one for one in compare(AUDIT, replace(AUDIT, semantic=semantic)).changes}
    assert exact.valid_hit_share
    assert by_name["Valid semantic hits"].new == Decimal(str(exact.valid_hit_share.value))


def test_moved_groups_are_ranked_by_the_size_of_the_change() -> None:
    rows = AUDIT.spend.by["model"]
    dearer = replace(rows[1], cost=replace(rows[1].cost, total_usd=Decimal("15000")))
    spend = replace(AUDIT.spend, by=AUDIT.spend.by | {"model": (rows[0], dearer)})
    moved = compare(AUDIT, replace(AUDIT, spend=spend)).moved["model"]
    assert [(change.name, change.difference) for change in moved] == [
        ("gpt-4o", Decimal(2400)),  # 15,000 - 12,600
        ("gpt-4o-mini", Decimal("-400.20")),  # no longer used
    ]


def centres(order: list[int], ids: tuple[str, ...]) -> ClusterCentres:
    """Return one direction per cluster, in an order and under names of one's own."""
    return ClusterCentres("minilm", "1", ids, np.eye(len(order), dtype=np.float32)[order])


@pytest.mark.parametrize("seed", range(5))
def test_clusters_with_other_names_and_places_are_the_same_topics(seed: int) -> None:
    assert AUDIT.semantic is not None
    rows = AUDIT.semantic.clusters
    order = np.random.default_rng(seed).permutation(len(rows)).tolist()
    named = tuple(
        replace(rows[n], cluster_id=f"new{n}", label=f"word{n}, term{n}, name{n}") for n in order
    )
    other = replace(AUDIT, semantic=replace(AUDIT.semantic, clusters=named))
    ours = centres(list(range(len(rows))), tuple(row.cluster_id for row in rows))
    theirs = centres(order, tuple(row.cluster_id for row in named))
    found = compare(AUDIT, other, (ours, theirs))
    assert (found.new_clusters, found.gone_clusters) == ((), ())
    by_words = compare(AUDIT, other)
    assert len(by_words.new_clusters) == len(by_words.gone_clusters) == len(rows)


def test_a_topic_with_old_words_and_a_new_meaning_is_new() -> None:
    assert AUDIT.semantic is not None
    first, *rest = AUDIT.semantic.clusters
    moved = (replace(first, cluster_id="new"), *rest)
    other = replace(AUDIT, semantic=replace(AUDIT.semantic, clusters=moved))
    count = len(moved)
    vectors = np.eye(count + 1, dtype=np.float32)
    ours = ClusterCentres("minilm", "1", tuple(r.cluster_id for r in (first, *rest)), vectors[:-1])
    theirs = replace(
        ours, ids=tuple(r.cluster_id for r in moved), vectors=vectors[[-1, *range(1, count)]]
    )
    found = compare(AUDIT, other, (ours, theirs))
    assert found.new_clusters == found.gone_clusters == (first.label,)
    other_embedder = replace(theirs, embedder="mpnet")
    assert compare(AUDIT, other, (ours, other_embedder)).new_clusters == ()  # by its words


def test_a_log_without_prices_has_no_spend_to_compare() -> None:
    nothing = replace(
        AUDIT.spend,
        unpriced_share=1.0,
        total=replace(AUDIT.spend.total, total_usd=Decimal(0), unpriced={"output_tokens": 9}),
    )
    unpriced = replace(AUDIT, spend=nothing)
    one, both = compare(AUDIT, unpriced), compare(unpriced, unpriced)
    assert (one.spend.new, one.spend.difference, one.spend.within_noise) == (None, None, False)
    assert one.spend.base == AUDIT.ledger.before.usd
    assert {name: rows for name, rows in one.moved.items() if rows} == {}
    assert "100.0% now: the costs can't be compared" in one.headline
    assert both.headline.startswith("No token has a price, so the costs can't be compared.")


def test_costs_that_cannot_be_compared_have_no_difference() -> None:
    short = replace(AUDIT, month=replace(AUDIT.month, period="log"))
    compared = compare(short, AUDIT)
    assert compared.why_not
    assert [c.difference for c in compared.changes if c.unit == "usd"] == [None, None]
    assert compared.changes[0].verdict == "can't be compared"
