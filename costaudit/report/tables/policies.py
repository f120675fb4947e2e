"""Other cache policies beside one threshold for all."""

from costaudit.contracts.grades import Money
from costaudit.contracts.semantic import PolicyKind, PolicyRow, PolicyTrials, SemanticSection
from costaudit.report.language import said, tr
from costaudit.report.numbers import count, share, share_range, usd, usd_range
from costaudit.report.tables.table import Table

POLICIES: dict[PolicyKind, str] = {
    "exact": "identical questions only",
    "one": "one threshold for all",
    "entry": "a threshold that each entry learns (vCache)",
    "topic": "a threshold for each topic",
    "topic_ttl": "a threshold and a TTL for each topic",
    "curated": "reviewed answers, with verification (Krites)",
}
TITLE = "Other policies on half of the log"
COLUMNS = ("policy", "hits", "raw", "valid", "unsafe", "95%", "saved", "more (95%)")


def policy_tables(section: SemanticSection) -> tuple[Table, ...]:
    """Return the policies as a table; none if they were not tried."""
    trials = section.trials
    if trials is None:
        return ()
    rows = tuple(policy_cells(row) for row in trials.rows)
    return (Table(TITLE, COLUMNS, rows, note=policy_note(trials)),)


def policy_cells(row: PolicyRow) -> tuple[str, ...]:
    """Return the cells of a row, in the order of COLUMNS."""
    return (
        tr(POLICIES[row.kind]),
        count(row.hits),
        share(row.raw_hit_share.value),
        share(row.valid_hit_share.value),
        share(row.unsafe_served_share.value),
        share_range(row.unsafe_served_share),
        tr("not priced") if row.saved is None else usd(row.saved.usd),
        _more(row.more),
    )


def policy_note(trials: PolicyTrials) -> str:
    """Say what the comparison shows, how it was made, and what each policy learned."""
    if not trials.rows:
        return said(trials.why)
    hows = [f"{tr(POLICIES[row.kind])}: {said(row.how)}" for row in trials.rows if row.how]
    return " ".join([said(trials.why), policy_how(trials), *hows])


def policy_how(trials: PolicyTrials) -> str:
    """Say how the comparison was made."""
    return tr(
        "Hits are counted in {n} requests, half of the conversations or hours; thresholds were "
        "chosen by the other half. Savings are those of right hits in this half, before what a "
        "cache costs to run. These policies are shown for comparison and never recommended."
    ).format(n=count(trials.requests))


def _more(more: Money | None) -> str:
    if more is None:
        return ""
    spread = usd_range(more)
    return f"{usd(more.usd)} ({spread})" if spread else usd(more.usd)
