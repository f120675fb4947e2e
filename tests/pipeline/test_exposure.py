"""Hits that show one user's answers to another are counted by hand."""

from dataclasses import replace

import numpy as np

from costaudit.answers.consistency import Consistency
from costaudit.answers.rates import rates
from costaudit.answers.tally import Population
from costaudit.pipeline.semantic.exposure import Exposure
from tests.answers.builder import log_of

ASKED = (  # user, tenant, question, answer
    (0, 0, "What is my balance?", "Your balance is 1042 euros, Marta."),
    (1, 0, "What is my balance?", "Your balance is 77 euros, Bruno."),
    (0, 0, "What is my balance?", "Your balance is 1042 euros, Marta."),
    (2, 1, "Are you open?", "Yes, from 9 to 17."),
    (1, 0, "Are you open now?", "No, from 9 to 17."),
    (-1, -1, "Are you open?", "Yes, from 9 to 17."),
)


def test_hits_across_users_and_tenants_by_hand() -> None:
    users, tenants, questions, answers = zip(*ASKED, strict=True)
    log = replace(log_of(questions, answers), users=np.array(users, np.int32))
    check = Consistency(log)
    exposure = Exposure.of(check, np.array(tenants, np.int32))
    # only the two balances hold something that no other user's answers have
    assert exposure.personal.tolist() == [True, True, True, False, False, False]
    served = np.array([[-1, 0, 0, -1, 3, 3], [-1, -1, 0, -1, -1, 3]], np.int32)
    everyone = Population(np.ones(6, bool), np.arange(6, dtype=np.int32))
    loose, strict = exposure.rows(rates(check, served, everyone), check, [0.8, 0.9])
    assert (loose.hits, strict.hits) == (4, 2)
    assert (loose.across_users, strict.across_users) == (2, 0)  # 1 reads 0's, 1 reads 2's
    assert (loose.across_tenants, strict.across_tenants) == (1, 0)
    assert (loose.personal, strict.personal) == (1, 0)
    assert (loose.largest_fan_out, strict.largest_fan_out) == (2, 1)
    assert loose.personal_share is not None and strict.personal_share is not None
    assert loose.personal_share.value == 1 / 6
    assert loose.personal_share.high is not None and strict.personal_share.high is not None
    assert strict.personal_share.high >= 1 - 0.025 ** (1 / 6)  # none of six proves little
    assert loose.nearest_wrong == 0.0  # yes against no; the questions' vectors are orthogonal
    assert strict.nearest_wrong is None


def test_without_users_exposure_is_not_known() -> None:
    _, tenants, questions, answers = zip(*ASKED, strict=True)
    check = Consistency(log_of(questions, answers))
    served = np.array([[-1, 0, 0, -1, 3, 3]], np.int32)
    everyone = Population(np.ones(6, bool), np.arange(6, dtype=np.int32))
    exposure = Exposure.of(check, np.array(tenants, np.int32))
    (row,) = exposure.rows(rates(check, served, everyone), check, [0.8])
    assert (row.personal, row.personal_share) == (0, None)
