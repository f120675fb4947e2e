"""Thinning an audit to fit a page."""

from dataclasses import replace
from decimal import Decimal

import msgspec

from costaudit.contracts.audit import Audit
from costaudit.report.summary import Limits, thinned
from tests.report.hostile_audit import huge_audit
from tests.report.sample_audit import AUDIT


def test_an_audit_that_fits_is_left_alone() -> None:
    assert thinned(AUDIT, Limits()) == (AUDIT, {})


def test_lists_are_cut_and_their_lengths_remembered() -> None:
    cut, lengths = thinned(huge_audit(4_200), Limits())
    assert cut.semantic
    assert len(cut.semantic.clusters) == 300
    assert lengths["semantic.clusters"] == lengths["findings"] == 4_200
    assert lengths["spend.by.tenant"] == 4_200


def test_curves_keep_their_ends_and_the_recommended_point() -> None:
    cut, _ = thinned(huge_audit(4_200), Limits(series=50))
    whole = huge_audit(4_200).semantic
    assert cut.semantic and whole
    points = cut.semantic.points
    assert len(points) <= 50
    assert (points[0], points[-1]) == (whole.points[0], whole.points[-1])
    assert sum(point.recommended for point in points) == 1


def test_the_dearest_groups_stay() -> None:
    tenant = AUDIT.spend.by["tenant"][0]
    rows = tuple(
        replace(tenant, group=f"t{n}", cost=replace(tenant.cost, total_usd=Decimal(n)))
        for n in range(1_000)
    )
    audit = replace(AUDIT, spend=replace(AUDIT.spend, by={"tenant": rows}))
    cut, _ = thinned(audit, Limits(rows=3))
    assert [row.group for row in cut.spend.by["tenant"]] == ["t999", "t998", "t997"]


def test_long_texts_say_how_much_is_missing() -> None:
    audit = replace(AUDIT, verdict=replace(AUDIT.verdict, headline="x" * 5_000))
    cut, _ = thinned(audit, Limits(characters=100))
    assert cut.verdict.headline == "x" * 100 + "… (+4,900 characters)"


def test_money_is_not_rounded_on_the_way() -> None:
    exact = Decimal("0.123456789012345678901234567890")
    audit = replace(
        AUDIT, verdict=replace(AUDIT.verdict, spend=replace(AUDIT.verdict.spend, usd=exact))
    )
    assert thinned(audit, Limits())[0].verdict.spend.usd == exact


def test_the_tightest_limits_still_give_an_audit() -> None:
    tight = Limits().divided(1_000_000)
    assert tight == Limits(series=50, rows=3, pairs=1, characters=80)
    cut, _ = thinned(huge_audit(200), tight)
    assert read_back(cut) == cut


def read_back(audit: Audit) -> Audit:
    return msgspec.json.decode(msgspec.json.encode(audit), type=Audit)
