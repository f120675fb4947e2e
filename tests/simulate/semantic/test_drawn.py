"""Sizes of topics from drawn texts: the truth is known, and the intervals contain it."""

import numpy as np
import pytest

from costaudit.contracts.grades import Estimate
from costaudit.simulate.semantic.topics.drawn import Sizes, draw_texts

TEXTS, TOPICS, SEEDS = 5_000, 6, 200


def traffic() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the requests for each text, their cost, its hits and its topic.

    A few texts have most requests, and topics differ in what a call costs.
    """
    rng = np.random.default_rng(7)
    requests = np.minimum(rng.zipf(2.0, TEXTS), 2_000).astype(np.float64)
    weight = 1 / np.arange(1, TOPICS + 1)
    topic = rng.choice(TOPICS, TEXTS, p=weight / weight.sum())
    usd = requests * rng.lognormal(0, 1, TEXTS) * (1 + topic)
    return requests, usd, np.rint((requests - 1) * rng.random(TEXTS)), topic


def inside(found: Estimate, truth: float) -> bool:
    assert found.low is not None and found.high is not None
    assert 0 <= found.low <= found.value <= found.high
    return found.low - 1e-9 <= truth <= found.high + 1e-9


@pytest.mark.parametrize("texts", [200, 1_000])
def test_intervals_contain_the_truth_as_often_as_they_claim(texts: int) -> None:
    """Of each topic's requests, dollars and hits; drawing by the text alone would miss them."""
    requests, usd, hits, topic = traffic()
    covered = np.zeros((3, TOPICS))
    mean = np.zeros((2, TOPICS))
    for seed in range(SEEDS):
        drawn = draw_texts(requests, usd, texts, seed)
        assert len(drawn.rows) <= texts
        by_request, by_usd = Sizes(drawn, requests), Sizes(drawn, usd)
        part = hits / requests
        for one in range(TOPICS):
            mine = topic == one
            own = mine[drawn.certain], mine[drawn.counted]
            found = (
                by_request.share(*own),
                by_usd.share(*own),
                by_request.share_within(*own, (part[drawn.certain], part[drawn.counted])),
            )
            truths = (
                requests[mine].sum() / requests.sum(),
                usd[mine].sum() / usd.sum(),
                hits[mine].sum() / requests[mine].sum(),
            )
            covered[:, one] += [inside(a, b) for a, b in zip(found, truths, strict=True)]
            mean[:, one] += [found[0].value / truths[0], found[1].value / truths[1]]
    assert (covered / SEEDS).min() >= 0.9
    assert (covered / SEEDS).mean() >= 0.95
    assert mean / SEEDS == pytest.approx(1, abs=0.05)


def test_texts_with_most_requests_are_certain() -> None:
    """One of 100 texts has half of the requests; ten draws of the other 99 stay chance."""
    requests = np.ones(100)
    requests[7] = 100
    drawn = draw_texts(requests, np.zeros(100), 20, 0)
    assert drawn.certain.tolist() == [7]
    assert len(drawn.finding) == len(drawn.counted) == 9 and drawn.chance[7] == 0
    assert drawn.chance[np.arange(100) != 7] == pytest.approx(1 / 99)
    rows, stands = drawn.found(requests)
    assert (np.diff(rows) > 0).all() and stands.sum() == pytest.approx(199)
    assert stands[rows == 7] == [100]
    found = Sizes(drawn, requests).share(np.array([True]), np.zeros(9, bool))
    assert found.value == found.low == pytest.approx(100 / 199)  # half of it is known
    assert found.high is not None and found.value < found.high < 0.75


def test_a_sample_that_holds_every_text_is_exact() -> None:
    requests, usd, hits, topic = (one[:300] for one in traffic())
    drawn = draw_texts(requests, usd, 600, 1)
    assert drawn.certain.tolist() == list(range(300)) and not len(drawn.counted)
    own = topic[drawn.certain] == 0, np.empty(0, bool)
    found = Sizes(drawn, usd).share(*own)
    assert found.value == found.low == found.high == pytest.approx(usd[own[0]].sum() / usd.sum())
    part = hits / requests, np.empty(0)
    within = Sizes(drawn, requests).share_within(*own, part)
    assert within.value == pytest.approx(hits[own[0]].sum() / requests[own[0]].sum())


def test_a_log_without_prices_is_drawn_by_its_requests() -> None:
    requests, _, _, topic = traffic()
    drawn = draw_texts(requests, np.zeros(TEXTS), 400, 3)
    own = topic[drawn.certain] == 1, topic[drawn.counted] == 1
    assert Sizes(drawn, np.zeros(TEXTS)).share(*own).value == 0
    assert inside(Sizes(drawn, requests).share(*own), requests[topic == 1].sum() / requests.sum())
