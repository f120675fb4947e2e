"""Choose a cache policy for each topic of a log instead of one for all."""

import numpy as np

from costaudit.answers.logged import Ints
from costaudit.answers.rates import Rated

_LEAN = 20.0  # requests with the log's average result that are added to each topic
_PRICES = (0.0, *(2.0**power for power in range(-1, 11)))  # of a wrong hit, in mean savings


def by_topic(rated: Rated, topic: Ints) -> Ints:
    """Return choices of a run of `rated` for each topic, (choices, topics).

    topic: (n,), the topic of each request; -1 without one. Hits count within the requests that
    `rated` counts. A choice maximises what right hits earn less a price for each wrong one: the
    higher the price, the fewer wrong hits. Topics with few requests lean towards what is best for
    the whole log, and runs that are as good are decided by the last one, so runs should be sorted
    from the loosest to the strictest.
    """
    population, counted = rated.fitted.tally.population, rated.fitted.tally.counted
    topics = int(topic.max(initial=-1)) + 1
    earned, wrong = np.zeros((2, len(rated.pairs.row), topics))
    for run, row in enumerate(rated.pairs.row):
        hit = np.flatnonzero((row >= 0) & counted & (topic >= 0))
        right = rated.probability[row[hit]]
        gain = population.saved[hit] * right - population.wrong_cost * (1 - right)
        earned[run] = np.bincount(topic[hit], gain, topics)
        wrong[run] = np.bincount(topic[hit], 1 - right, topics)
    known = counted & (topic >= 0)
    lean = _LEAN / max(int(known.sum()), 1)
    earned += lean * earned.sum(axis=1, keepdims=True)
    wrong += lean * wrong.sum(axis=1, keepdims=True)
    mean = float(population.saved[known].mean()) if known.any() else 0.0
    last = len(rated.pairs.row) - 1
    choices = [last - np.argmax((earned - price * mean * wrong)[::-1], axis=0) for price in _PRICES]
    return np.unique(np.stack(choices), axis=0)
