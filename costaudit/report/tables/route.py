"""What trying a cheaper model showed, as tables."""

from costaudit.contracts.grades import Money
from costaudit.contracts.route import RouteSection
from costaudit.report.language import percent, said, tr
from costaudit.report.numbers import count, share, share_range, usd
from costaudit.report.tables.table import Table


def route_tables(one: RouteSection) -> tuple[Table, ...]:
    """Show one candidate: how far it agrees, by topic, and what a router saves."""
    return (_agreement(one), _topics(one), _saving(one), _caches(one))


def _agreement(one: RouteSection) -> Table:
    rows = (
        (tr("by prediction-powered inference"), one.right_share),
        (tr("by the verdicts alone"), one.verdicts_alone_share),
    )
    return Table(
        tr("{candidate}: {verdicts} verdicts of {judge} on {sampled} of {calls} calls").format(
            candidate=one.candidate,
            verdicts=count(one.judged),
            judge=one.judge,
            sampled=count(one.sampled),
            calls=count(one.calls),
        ),
        ("answers as good as the logged ones", "share", "95%"),
        tuple((name, share(of.value), share_range(of)) for name, of in rows if of is not None),
        note=said(one.note),
    )


def _topics(one: RouteSection) -> Table:
    return Table(
        "By topic",
        ("topic", "calls", "spend a month", "verdicts", "right", "as good", "95%", "sent"),
        tuple(
            (
                row.topic or tr("all"),
                count(row.calls),
                usd(row.spend.usd),
                count(row.tried),
                count(row.right),
                share(row.agreement.value),
                share_range(row.agreement),
                share(row.sent_share),
            )
            for row in one.topics
        ),
        note="sent: the share of the topic's calls that the router would send to the candidate.",
    )


def _saving(one: RouteSection) -> Table:
    router = one.router
    loss = router.loss
    if not router.code:
        note = tr(
            "No rule keeps the worse answers to {share} of the calls at the upper bound. A larger "
            "sample, or another candidate, may find one."
        ).format(share=share(one.most_loss))
    else:
        note = tr(
            "The router may make at most {share} of all calls worse (upper 95% bound, on parts "
            "of the sample that its rules had not seen). A worse answer is asked for again at the "
            "old price. The rule itself costs nothing to run; pasted, it decides {agrees} of the "
            "calls as measured."
        ).format(share=share(loss.high or loss.value), agrees=share(router.agrees))
    rows = (
        (tr("by the router"), share(router.sent_share), share(loss.value), share_range(loss),
         usd(one.saved.usd), _range(one.saved)),
        (tr("if every call moved"), percent("100"), "", "", usd(one.saved_all.usd),
         _range(one.saved_all)),
    )  # fmt: skip
    return Table(
        "Saved a month",
        ("", "calls sent", "worse answers", "95%", "saved a month", "between"),
        rows,
        note=note,
    )


def _range(money: Money) -> str:
    if money.low_usd is None or money.high_usd is None:
        return ""
    return tr("{low} to {high}").format(low=usd(money.low_usd), high=usd(money.high_usd))


def _caches(one: RouteSection) -> Table:
    if one.caches is None:
        return Table("Prompt caches", (), ())
    return Table(
        "Prompt caches, simulated: input tokens that are read from them",
        ("", "share"),
        (
            (tr("the models of today"), share(one.caches.large_before)),
            (tr("the calls that stay"), share(one.caches.large_after)),
            (tr("the calls that go to the candidate"), share(one.caches.candidate)),
        ),
        note=tr(
            "The calls that stay cost {usd} a month more, because they are further apart; that is "
            "taken off the saving."
        ).format(usd=usd(one.caches.colder.usd)),
    )
