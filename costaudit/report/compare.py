"""Two audits side by side: what changed, and whether it is more than noise."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from costaudit.contracts.audit import Audit, Finding
from costaudit.contracts.forecast import Driver
from costaudit.contracts.grades import Estimate, Money
from costaudit.contracts.semantic import ClusterCentres
from costaudit.contracts.spend import CostBreakdown
from costaudit.report.language import said, tr
from costaudit.report.numbers import MINUS, count, share, similarity, usd

_UNPRICED = 0.01  # of the tokens; where the share differs by more, costs can't be compared
_MOVED = 10  # groups listed per breakdown


@dataclass(frozen=True)
class Change:
    """One number in both audits."""

    name: str
    unit: Literal["usd", "share", "similarity", "count"]
    base: Decimal | None  # None where the audit could not find it
    new: Decimal | None
    noise: Decimal | None  # half the 95 % interval of the difference; None where it is not known
    is_comparable: bool = True

    @property
    def difference(self) -> Decimal | None:
        """Return new - base, in the unit; None where it means nothing."""
        if self.base is None or self.new is None or not self.is_comparable:
            return None
        return self.new - self.base

    @property
    def relative(self) -> Decimal | None:
        """Return the difference as a share of the base."""
        difference = self.difference
        return None if difference is None or not self.base else difference / self.base

    @property
    def within_noise(self) -> bool:
        """Return whether the difference could be chance; False if the noise is not known."""
        difference = self.difference
        return difference is not None and self.noise is not None and abs(difference) <= self.noise

    def written(self, value: Decimal | None) -> str:
        """Write a value of this row for people."""
        if value is None:
            return tr("not known")
        if self.unit == "usd":
            return usd(value)
        if self.unit == "count":
            return count(float(value))
        return share(float(value)) if self.unit == "share" else similarity(float(value))

    @property
    def verdict(self) -> str:
        """Describe the difference for people, with its noise."""
        difference = self.difference
        if difference is None:
            return tr("can't be compared")
        if difference == 0:
            return tr("identical")
        text = self._signed(difference)
        if self.within_noise:
            within = tr("{difference}, within noise (±{noise})")
            return within.format(difference=text, noise=self._plain(abs(self.noise or Decimal(0))))
        if not self.noise:
            return text
        return tr("{difference} (noise ±{noise})").format(
            difference=text, noise=self._plain(self.noise)
        )

    def _signed(self, difference: Decimal) -> str:
        sign = "+" if difference > 0 else MINUS
        text = f"{sign}{self._plain(abs(difference))}"
        relative = self.relative
        if self.unit in ("usd", "count") and relative is not None:
            text += f" ({sign}{share(abs(float(relative)))})"
        return text

    def _plain(self, size: Decimal) -> str:
        if self.unit == "share":
            return share(float(size)).replace("%", " pp")
        if self.unit == "count":
            return count(float(size))
        return usd(size) if self.unit == "usd" else similarity(float(size))


@dataclass(frozen=True)
class Comparison:
    """Two audits side by side."""

    headline: str  # one sentence
    changes: tuple[Change, ...]  # spend first; requests and tokens, if known, last
    moved: dict[str, tuple[Change, ...]]  # model | endpoint | tenant → largest changes of spend
    new_findings: tuple[str, ...]  # titles
    gone_findings: tuple[str, ...]
    new_clusters: tuple[str, ...]  # labels
    gone_clusters: tuple[str, ...]
    why_not: str = ""  # why costs can't be compared; "" where they can
    drivers: tuple[Driver, ...] = ()  # what made spend change; adds up to its change

    @property
    def spend(self) -> Change:
        """Return the change of monthly spend, which a cost gate tests."""
        return self.changes[0]


def compare(
    base: Audit,
    new: Audit,
    centres: tuple[ClusterCentres | None, ClusterCentres | None] = (None, None),
    drivers: tuple[Driver, ...] = (),
) -> Comparison:
    """Set the headline numbers, the breakdowns and the findings of two audits side by side.

    `centres` are those of the clusters of `base` and `new`: with both of one embedder, they decide
    which clusters are the same topic, and else the words of the labels do. `drivers` are the causes
    of the change of spend.
    """
    name = tr("Spend a month") if base.month.is_month else tr("Spend in the log")
    spend = _money(name, base, new, lambda audit: audit.ledger.before)
    changes = (
        spend,
        _money(tr("Saving a month"), base, new, lambda audit: audit.verdict.saving),
        _estimate(tr("Prompt-cache reads"), base, new, _read_share),
        _estimate(tr("Valid semantic hits"), base, new, _of_point("valid_hit_share")),
        _estimate(tr("Unsafe answers served"), base, new, _of_point("unsafe_served_share")),
        _exact(tr("Unpriced tokens"), "share", base, new, lambda audit: audit.spend.unpriced_share),
        _exact(
            tr("Rows with prompts"), "share", base, new, lambda audit: audit.quality.prompt_share
        ),
        _exact(
            tr("Recommended similarity"),
            "similarity",
            base,
            new,
            lambda audit: audit.semantic.recommended if audit.semantic else None,
        ),
        *_calls(base, new),
    )
    findings = _findings(base, new), _findings(new, base)
    clusters = _clusters(base), _clusters(new)
    known = _same_topics(*centres), _same_topics(*reversed(centres))
    reason = why_not(base, new)
    went = tr("Spend went from {base} to {new} a month: {verdict}.")
    if not base.month.is_month:
        went = tr("Spend went from {base} to {new} in the log: {verdict}.")
    return Comparison(
        headline=reason
        or went.format(
            base=spend.written(spend.base), new=spend.written(spend.new), verdict=spend.verdict
        ),
        changes=changes,
        moved={}
        if reason
        else {name: _moved(base, new, name) for name in ("model", "endpoint", "tenant")},
        new_findings=findings[1],
        gone_findings=findings[0],
        new_clusters=_unmatched(clusters[1], clusters[0], known[1]),
        gone_clusters=_unmatched(clusters[0], clusters[1], known[0]),
        why_not=reason,
        drivers=() if reason or not any(one.usd for one in drivers) else drivers,
    )


def why_not(base: Audit, new: Audit) -> str:
    """Explain why the money of two audits can't be compared; "" where it can."""
    if base.month.is_month != new.month.is_month:
        if new.month.is_month:
            return tr("The baseline is too short for a month, so the costs can't be compared.")
        return tr("The new log is too short for a month, so the costs can't be compared.")
    if not (base.spend.has_price or new.spend.has_price):
        return tr(
            "No token has a price, so the costs can't be compared. Give the rates with --prices."
        )
    shares = base.spend.unpriced_share, new.spend.unpriced_share
    if abs(shares[0] - shares[1]) > _UNPRICED:
        return tr(
            "{base} of the tokens had no price in the baseline, {new} now: the costs can't be "
            "compared. Give the rates with --prices."
        ).format(base=share(shares[0]), new=share(shares[1]))
    return ""


def _combined(base: Decimal | None, new: Decimal | None) -> Decimal | None:
    known = [half for half in (base, new) if half is not None]
    return sum((half * half for half in known), Decimal(0)).sqrt() if known else None


def _money(name: str, base: Audit, new: Audit, of: Callable[[Audit], Money]) -> Change:
    halves = [_half(of(base)), _half(of(new))]
    before, after = (of(one).usd if one.spend.has_price else None for one in (base, new))
    noise = _mean_noise(*halves)
    return Change(name, "usd", before, after, noise, is_comparable=not why_not(base, new))


def _calls(base: Audit, new: Audit) -> list[Change]:
    """Return the changes of requests, and of the tokens of a mean request, as far as known."""
    is_month = base.month.is_month or new.month.is_month
    requests = [
        Decimal(audit.month.requests) or None if audit.month.is_month == is_month else None
        for audit in (base, new)
    ]
    name = tr("Requests a month") if is_month else tr("Requests in this log")
    means = [_mean_tokens(audit.spend.total) for audit in (base, new)]
    rows = [
        Change(name, "count", requests[0], requests[1], None),
        Change(tr("Input tokens per request"), "count", means[0][0], means[1][0], None),
        Change(tr("Output tokens per request"), "count", means[0][1], means[1][1], None),
    ]
    return [row for row in rows if row.base is not None or row.new is not None]


def _mean_tokens(cost: CostBreakdown) -> tuple[Decimal | None, Decimal | None]:
    """Return the input and output tokens of a mean request; None without requests."""
    if not cost.requests:
        return None, None
    written = (
        cost.cache_write_5m_tokens + cost.cache_write_1h_tokens + cost.cache_write_other_tokens
    )
    given = cost.input_uncached_tokens + cost.cache_read_tokens + written
    return Decimal(given) / cost.requests, Decimal(cost.output_tokens) / cost.requests


def _half(money: Money | None) -> Decimal | None:
    if money is None or money.low_usd is None or money.high_usd is None:
        return None
    return (money.high_usd - money.low_usd) / 2


def _mean_noise(base: Decimal | None, new: Decimal | None) -> Decimal | None:
    """Combine two ranges of a month; each already covers a month to come."""
    known = [half for half in (base, new) if half is not None]
    if not known:
        return None
    return (sum((half * half for half in known), Decimal(0)) / len(known)).sqrt()


def _estimate(name: str, base: Audit, new: Audit, of: Callable[[Audit], Estimate | None]) -> Change:
    values: list[Decimal | None] = []
    halves: list[Decimal | None] = []
    for estimate in (of(base), of(new)):
        values.append(None if estimate is None else Decimal(str(estimate.value)))
        interval = estimate is not None and estimate.low is not None and estimate.high is not None
        halves.append(
            Decimal(str((estimate.high - estimate.low) / 2)) if interval else None  # type: ignore[union-attr, operator]
        )
    return Change(name, "share", values[0], values[1], _combined(*halves))


def _exact(
    name: str,
    unit: Literal["share", "similarity"],
    base: Audit,
    new: Audit,
    of: Callable[[Audit], float | None],
) -> Change:
    values = [None if of(audit) is None else Decimal(str(of(audit))) for audit in (base, new)]
    return Change(name, unit, values[0], values[1], None)


def _read_share(audit: Audit) -> Estimate | None:
    return audit.prefix.billed_read_share if audit.prefix else None


def _of_point(field: str) -> Callable[[Audit], Estimate | None]:
    def of(audit: Audit) -> Estimate | None:
        chosen = audit.semantic.chosen if audit.semantic else None
        return getattr(chosen, field) if chosen else None

    return of


def _clusters(audit: Audit) -> dict[str, str]:
    return audit.semantic.cluster_labels if audit.semantic else {}


_NEAR = 0.8  # similarity of two centres, for one topic; see benchmarks/README.md
_ALIKE = 0.5  # share of the terms of two labels that are the same, for one topic


def _same_topics(
    these: ClusterCentres | None, others: ClusterCentres | None
) -> frozenset[str] | None:
    """Return the clusters that the others have too; None if the centres can't tell."""
    if these is None or others is None or not these.comparable(others):
        return None
    return these.matched(others, _NEAR)


def _unmatched(
    these: dict[str, str], others: dict[str, str], known: frozenset[str] | None
) -> tuple[str, ...]:
    """Return the labels, else ids, of topics that others lack: by centres if `known`, or terms.

    Equal ids are equal sets of questions.
    """
    terms = [set(_terms(label)) for label in others.values()]

    def is_known(key: str) -> bool:
        if key in others or known is not None:
            return key in others or key in (known or ())
        return any(_alike(set(_terms(these[key])), one) for one in terms)

    return tuple(these[key] or key for key in sorted(these) if not is_known(key))


def _terms(label: str) -> list[str]:
    return [word for word in re.split(r"[^\w]+", label.lower()) if word]


def _alike(one: set[str], other: set[str]) -> bool:
    return bool(one | other) and len(one & other) / len(one | other) >= _ALIKE


def _findings(these: Audit, others: Audit) -> tuple[str, ...]:
    """Return the titles of findings whose cause the other audit does not have.

    A finding that is not listed any more, because others are dearer, is not gone.
    """
    left = {_identity(one) for one in others.findings} | _causes(others)
    return tuple(said(one.title) for one in these.findings if _identity(one) not in left)


def _identity(finding: Finding) -> tuple[str, str]:
    """Return a finding's code, and the endpoint where its cause is one of prompts."""
    place = finding.title.rpartition(": ")[2] if finding.code.startswith("prefix-") else ""
    return finding.code, "" if place.endswith(" endpoints") else place


def _causes(audit: Audit) -> set[tuple[str, str]]:
    templates = audit.prefix.templates if audit.prefix else ()
    found = {
        (f"prefix-{one.kind}", template.endpoint)
        for template in templates
        for one in template.breakers
    }
    return found | {(code, "") for code, _ in found}


def _moved(base: Audit, new: Audit, name: str) -> tuple[Change, ...]:
    """List the groups whose monthly spend changed most."""
    rows = [{row.group: row for row in audit.spend.by.get(name, ())} for audit in (base, new)]
    months = [
        {
            group: row.month or Money(row.cost.total_usd, "measured")
            for group, row in of_audit.items()
            if row.cost.total_usd or not row.cost.unpriced
        }
        for of_audit in rows
    ]
    nothing = Money(Decimal(0), "measured")
    changes = [
        Change(
            group,
            "usd",
            months[0].get(group, nothing).usd,
            months[1].get(group, nothing).usd,
            _mean_noise(_half(months[0].get(group)), _half(months[1].get(group))),
        )
        for group in sorted({**months[0], **months[1]})
    ]
    moved = [change for change in changes if change.difference]
    return tuple(sorted(moved, key=lambda c: (-abs(c.difference or Decimal(0)), c.name))[:_MOVED])
