"""The sample audit used in reporter tests satisfies the contracts."""

from decimal import Decimal

from costaudit.contracts.audit import encode_audit, read_audit
from tests.report.sample_audit import AUDIT
from tests.report.sample_semantic import DEFAULT_SCOPE


def test_ledger_adds_up() -> None:
    ledger = AUDIT.ledger
    saved = sum((step.saved.usd for step in ledger.steps), Decimal(0))
    alone = sum((step.alone.usd for step in ledger.steps), Decimal(0))
    assert saved == Decimal(9850)  # 2,060 + 1,910 + 4,930 + 0 + 610 + 340
    assert ledger.before.usd - saved == ledger.after.usd
    contained = ledger.steps[0].alone.usd  # identical questions are similar too
    assert alone - contained - saved == ledger.overlap.usd == Decimal(-240)


def test_rows_and_files_add_up() -> None:
    quality = AUDIT.quality
    assert quality.rows == quality.kept + quality.merged + quality.skipped
    for field in ("rows", "kept", "merged", "skipped"):
        assert sum(getattr(file, field) for file in quality.files) == getattr(quality, field)
    assert sum(quality.skip_reasons.values()) == quality.skipped
    assert sum(quality.statuses.values()) == quality.kept


def test_spend_of_the_models_is_the_total() -> None:
    spend = AUDIT.spend
    by_model = sum((row.cost.total_usd for row in spend.by["model"]), Decimal(0))
    assert by_model == spend.total.total_usd == Decimal("41200.200")
    days = sum(row.share for row in spend.by["day"])
    assert abs(days - 1) < 1e-4  # 8 x 0.0192 + 22 x 0.03847272


def test_the_recommended_point_is_in_the_sweep_and_its_scope_on_the_ladder() -> None:
    semantic = AUDIT.semantic
    assert semantic is not None
    chosen = [point for point in semantic.points if point.recommended]
    assert [point.min_similarity for point in chosen] == [semantic.recommended]
    assert chosen[0].unsafe_served_share is not None
    assert (chosen[0].unsafe_served_share.high or 1) <= semantic.max_wrong_share
    assert DEFAULT_SCOPE in [row.scope for row in semantic.scopes]


def test_the_replay_adds_up() -> None:
    replay = AUDIT.replay
    assert replay is not None
    assert replay.agreed + sum(replay.reasons.values()) == replay.requests
    cells = {(p, m): n for p, row in replay.confusion.items() for m, n in row.items()}
    assert sum(cells.values()) == replay.requests
    assert sum(n for (p, m), n in cells.items() if p == m) == replay.agreed


def test_it_survives_its_own_encoding(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "audit.json"
    path.write_bytes(encode_audit(AUDIT))
    assert read_audit(path) == AUDIT
