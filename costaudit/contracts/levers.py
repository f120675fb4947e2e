"""What each lever is worth, and where."""

from dataclasses import dataclass

from costaudit.contracts.grades import Money


@dataclass(frozen=True)
class LeverUnit:
    """What is decided together under one lever."""

    unit: str  # an endpoint and model, or a kind of useless call
    requests: int  # changed
    before: Money  # per month, of the changed requests
    alone: Money  # saved per month, had the lever been the only one


@dataclass(frozen=True)
class LeverRow:
    """One lever. Law: alone = Σ alone of the units."""

    lever: str  # routing | output | batch | waste
    label: str  # for people
    rule: str  # which requests, and why: one sentence with its numbers
    change: str  # what to do, in the imperative
    requests: int  # changed, had the lever been the only one
    alone: Money  # saved per month, had it been the only one
    saved: Money  # saved per month, on what the steps before it leave
    units: tuple[LeverUnit, ...]  # those that save most first
