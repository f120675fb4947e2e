"""Estimate how large topics are from texts that are drawn with a known chance.

Each draw takes a text with a chance in proportion to its requests and their cost, so a repeated
question counts as what it is and no draw has much more weight than another. Texts with a large part
of either are always taken, and their part is exact. Half of the draws say which topics there are,
the other half how large they are: a group looks larger among the texts that it was found in.
"""

from dataclasses import dataclass

import numpy as np

from costaudit.contracts.grades import Estimate
from costaudit.simulate.semantic.sample import wilson

_LEAST_DRAWN = 0.5  # share of a half that is left to chance, if any text is
_CONFIDENCE = 0.95
_TINY = 1e-300


@dataclass(frozen=True)
class Drawn:
    """Rows of texts, and how they were drawn."""

    certain: np.ndarray  # int64 (c,), rising: always taken
    finding: np.ndarray  # int64 (n,), of the other texts, with repeats: these say what topics exist
    counted: np.ndarray  # int64 (n,), with repeats: these say how large topics are
    chance: np.ndarray  # float64 (m,), of each text at each draw; 0 for certain texts

    @property
    def rows(self) -> np.ndarray:
        """Return all drawn texts once, rising."""
        return np.unique(np.concatenate([self.certain, self.finding, self.counted]))

    def found(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the texts that topics are found in, and the part of a sum that each represents.

        values: float64 (m,), of each text. The rows rise.
        """
        rows, draws = np.unique(self.finding, return_counts=True)
        stands = values[rows] / self.chance[rows] * draws
        rest = float(values.sum() - values[self.certain].sum())
        stands *= rest / max(float(stands.sum()), _TINY)
        every = np.concatenate([self.certain, rows])
        order = np.argsort(every)
        return every[order], np.concatenate([values[self.certain], stands])[order]


def draw_texts(requests: np.ndarray, usd: np.ndarray, texts: int, seed: int) -> Drawn:
    """Draw up to so many texts, by the requests for each and their cost; float64 (m,).

    All are certain if half of `texts` would hold them.
    """
    size = requests / max(float(requests.sum()), _TINY)
    if usd.sum() > 0:
        size = (size + usd / usd.sum()) / 2
    half = texts // 2
    certain = _certain(size, half)
    chance = size.copy()
    chance[certain] = 0
    if len(certain) == len(size) or not chance.sum():
        none = np.empty(0, np.int64)
        return Drawn(np.arange(len(size)), none, none, np.zeros(len(size)))
    chance /= chance.sum()
    drawn = np.random.default_rng(seed).choice(len(size), (2, half - len(certain)), p=chance)
    return Drawn(certain, drawn[0], drawn[1], chance)


def _certain(size: np.ndarray, draws: int) -> np.ndarray:
    """Return the texts that so many draws would take once or more often, rising."""
    if len(size) <= draws:
        return np.arange(len(size))
    largest = np.argpartition(-size, draws)[:draws]
    largest = largest[np.argsort(-size[largest], kind="stable")]
    left = size.sum() - np.concatenate([[0.0], np.cumsum(size[largest])[:-1]])
    often = (draws - np.arange(draws)) * size[largest] >= left
    count = min(int(np.argmin(np.append(often, False))), int(draws * (1 - _LEAST_DRAWN)))
    return np.sort(largest[:count])


class Sizes:
    """Shares of one sum over all texts, such as requests or dollars, from the counted draws."""

    def __init__(self, drawn: Drawn, values: np.ndarray) -> None:
        """Weigh the draws; values: float64 (m,), of each text."""
        self._known = values[drawn.certain]
        self._rest = float(values.sum() - self._known.sum()) if len(drawn.counted) else 0.0
        weight = values[drawn.counted] / drawn.chance[drawn.counted]
        self._weight = weight / max(float(weight.sum()), _TINY)

    def share(self, certain: np.ndarray, counted: np.ndarray) -> Estimate:
        """Estimate which share of the sum a part of the texts has.

        certain: bool (c,), and counted: bool (n,), which of the drawn texts are in that part.
        """
        every = np.ones(len(counted))
        known, whole = float(self._known @ certain), float(self._known.sum())
        found = self._ratio(known, whole, counted.astype(float), every)
        least = known / max(whole + self._rest, _TINY)
        return Estimate(found.value, "estimated", max(found.low or 0.0, least), found.high)

    def share_within(
        self, certain: np.ndarray, counted: np.ndarray, part: tuple[np.ndarray, np.ndarray]
    ) -> Estimate:
        """Estimate which share of a part's own sum is, say, hits.

        part: float64 (c,) and (n,), which share of its own value each drawn text has as hits.
        """
        known = self._known * certain
        some, every = float(known @ part[0]), float(known.sum())
        return self._ratio(some, every, counted * part[1], counted.astype(float))

    def _ratio(self, part: float, whole: float, some: np.ndarray, every: np.ndarray) -> Estimate:
        """Return a ratio of two sums, with Wilson's interval for draws that spread as these do.

        part, whole: what certain texts add to both. some, every: (n,), what counted ones do.
        """
        from scipy.stats import t

        draws = len(self._weight)
        means = float(self._weight @ some), float(self._weight @ every)
        total = whole + self._rest * means[1]
        if not draws or not total:
            value = part / total if total else 0.0
            return Estimate(value, "estimated", value, value)
        value = min((part + self._rest * means[0]) / total, 1.0)
        each = self._weight * (some - value * every - (means[0] - value * means[1]))
        error = float(each @ each) * draws / (draws - 1) * (self._rest / total) ** 2
        unseen = self._rest / draws  # a part without a draw may be about so large
        doubtful = max(self._rest * means[1], unseen) / max(total, unseen)
        spread = float(((self._weight * every) ** 2).sum())
        held = means[1] ** 2 / spread if spread else 1.0  # draws of equal weight, in the part
        independent = held / doubtful**2
        if error:
            independent = min(independent, value * (1 - value) / error)
        z = float(t.ppf((1 + _CONFIDENCE) / 2, max(2.0, held - 1)))
        low, high = wilson(value, independent, z)
        return Estimate(value, "estimated", min(low, value), max(high, value))
