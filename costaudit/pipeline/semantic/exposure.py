"""Count whose answers a shared cache would show to whom."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from costaudit.answers.consistency import Consistency
from costaudit.answers.logged import Ints
from costaudit.answers.rates import Rated
from costaudit.contracts.semantic import SecurityRow

_PERSONAL = ("entities", "amounts", "identifiers")  # detectors of names, amounts, addresses, ids
_SHARED = -2  # in place of a user, for a value in the answers to several users
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Exposure:
    """What is known about the requests of a log."""

    tenant: Ints  # per request: number of its tenant; -1 if unknown
    user: Ints  # per request: number of its user; -1 if unknown
    personal: Bools  # per request: its answer has a value that only answers to its user have

    @classmethod
    def of(cls, check: Consistency, tenant: Ints) -> "Exposure":
        """Find the personal values in the answers of a log."""
        return cls(tenant, check.log.user, _personal(check))

    def rows(self, rated: Rated, check: Consistency, thresholds: list[float]) -> list[SecurityRow]:
        """Return a row for each of the first runs of `rated`, which are those of `thresholds`."""
        out, tally = [], rated.fitted.tally
        for run, threshold in enumerate(thresholds):
            hit = rated.pairs.row[run]
            found = hit[hit >= 0]
            asked, served = rated.pairs.asked[found], rated.pairs.matched[found]
            users = _apart(self.user, asked, served)
            exposed = np.zeros(len(hit), np.bool_)
            exposed[asked] = users & self.personal[served]
            wrong = (rated.right[found] == 0) & (
                check.log.question[asked] != check.log.question[served]
            )
            alike = check.log.question_similarity(asked[wrong], served[wrong])
            out.append(
                SecurityRow(
                    min_similarity=threshold,
                    hits=len(found),
                    across_tenants=int(_apart(self.tenant, asked, served).sum()),
                    across_users=int(users.sum()),
                    personal=int(exposed.sum()),
                    largest_fan_out=int(np.bincount(served).max()) if len(served) else 0,
                    nearest_wrong=float(alike.max()) if len(alike) else None,
                    personal_share=tally.share(exposed) if (self.user >= 0).any() else None,
                )
            )
        return out


def _apart(owner: Ints, asked: Ints, served: Ints) -> Bools:
    """Return which hits serve the answer of another known owner."""
    first, second = owner[asked], owner[served]
    return np.asarray((first >= 0) & (second >= 0) & (first != second))


def _personal(check: Consistency) -> Bools:
    """Return whose answers hold a name, amount or id that is in no other user's answers."""
    log = check.log
    out = np.zeros(len(log), np.bool_)
    known = np.flatnonzero((log.answer >= 0) & (log.user >= 0))
    pairs = np.unique(np.stack([log.answer[known], log.user[known]]), axis=1).T.tolist()
    for name in _PERSONAL:
        column = check.answer_traps.column(name)
        owner: dict[str, int] = {}
        for answer, user in pairs:
            for value in column.sets[column.ids[answer]]:
                owner[value] = user if owner.get(value, user) == user else _SHARED
        alone = {
            (answer, user)
            for answer, user in pairs
            if any(owner[value] == user for value in column.sets[column.ids[answer]])
        }
        said = zip(log.answer[known].tolist(), log.user[known].tolist(), strict=True)
        out[known] |= np.fromiter((one in alone for one in said), np.bool_, len(known))
    return out
