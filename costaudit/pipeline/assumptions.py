"""What an audit takes for granted, with the option that changes it."""

from costaudit.contracts.audit import Assumption
from costaudit.contracts.period import covered, only_a_rate
from costaudit.contracts.policies import SemanticPolicy
from costaudit.costing.ledger import MONTH_DAYS
from costaudit.costing.plan import effort_assumption
from costaudit.costing.running import store_assumption
from costaudit.pipeline.keyed_run import WARM_UP_SHARE
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.settings import AnalyzeOptions


def assumptions(log: Loaded, options: AnalyzeOptions, *, semantic: bool) -> tuple[Assumption, ...]:
    """List what the figures rest on; those of the semantic cache only where it was simulated."""
    return (
        Assumption(
            "prices",
            "list prices of each request's own date",
            "your contract may differ",
            "--prices",
        ),
        Assumption(
            "month",
            f"{MONTH_DAYS} days; the log covers {covered(log.quality)}",
            only_a_rate(log.quality)
            or "traffic outside the log is taken to be like the traffic in it",
            "--since, --until",
        ),
        *(_of_the_cache(options.policy, options.max_wrong_share) if semantic else ()),
        effort_assumption(),
    )


def _of_the_cache(policy: SemanticPolicy, max_wrong_share: float) -> tuple[Assumption, ...]:
    ttl = "none" if policy.ttl_s is None else f"{policy.ttl_s:g} s, {policy.ttl_kind}"
    return (
        Assumption(
            "scope",
            " + ".join(policy.scope) or "everything",
            "an answer is shared only where all of these are equal",
            "--scope",
        ),
        Assumption(
            "compared text",
            {
                "last_user": "the last user message",
                "conversation": "the last user message, where the messages before it are equal",
                "full": "the whole message list",
            }[policy.key],
            "what a cache embeds decides what it takes for the same question",
            "--key",
        ),
        Assumption("TTL", ttl, "an older answer may be outdated", "--ttl, --ttl-kind"),
        Assumption(
            "wrong answers",
            f"at most {max_wrong_share:.2%} of all requests, at the upper 95 % bound",
            "the recommended threshold keeps to it",
            "--max-wrong",
        ),
        Assumption(
            "warm-up",
            f"the first {WARM_UP_SHARE:.0%} of eligible requests are left out of the steady state",
            "an empty cache can't hit",
            "",
        ),
        store_assumption(),
    )
