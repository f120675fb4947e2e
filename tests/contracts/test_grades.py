"""A total has the weakest grade of its parts."""

from itertools import product

from costaudit.contracts.grades import GRADES, weakest


def test_the_weakest_part_decides() -> None:
    assert weakest(["measured", "simulated"]) == "simulated"
    assert weakest(["estimated", "replayed"]) == "estimated"
    assert weakest([]) == "measured"
    for one, two in product(GRADES, GRADES):
        assert weakest([one, two]) == weakest([two, one])
        assert weakest([one, "assumed"]) == "assumed"
