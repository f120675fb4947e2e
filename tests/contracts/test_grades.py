"""A total has the weakest grade of its parts, and a rounded amount has no sign at zero."""

from itertools import product

from costaudit.contracts.grades import GRADES, micro_usd, weakest


def test_the_weakest_part_decides() -> None:
    assert weakest(["measured", "simulated"]) == "simulated"
    assert weakest(["estimated", "replayed"]) == "estimated"
    assert weakest([]) == "measured"
    for one, two in product(GRADES, GRADES):
        assert weakest([one, two]) == weakest([two, one])
        assert weakest([one, "assumed"]) == "assumed"


def test_a_loss_of_less_than_a_millionth_is_nothing_without_a_sign() -> None:
    written = [str(micro_usd(one)) for one in (-1e-9, 0.0, -1.5)]
    assert written == ["0.000000", "0.000000", "-1.500000"]
