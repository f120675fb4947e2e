"""Estimate how many distinct texts a whole log has, from those of its first requests."""

import numpy as np

_DEVIATIONS = 2.0  # of the counts on which both ends rest
_LAST = 4  # the last of so many parts of the trial shows how often texts are new


def distinct_texts(text: np.ndarray, total: float) -> tuple[float, float]:
    """Return the lowest and highest likely number of distinct texts in `total` requests.

    text: int (n,), equal for equal texts, of the first n requests. If all requests are drawn alike,
    new texts get rarer; so the high end goes on with those of the trial's last quarter. The low end
    is the lower bound of Chao and Jost (2012), by the texts that occur once and twice. Both allow
    for two standard deviations. It can't be told how texts repeat over more than n requests.
    """
    _, first, counts = np.unique(text, return_index=True, return_counts=True)
    seen, left = len(first), max(total - len(text), 0.0)
    if not seen or not left:
        return float(seen), float(seen)
    once, twice = float((counts == 1).sum()), float((counts == 2).sum())
    last = max(len(text) // _LAST, 1)
    new = float((first >= len(text) - last).sum())
    high = min((new + _DEVIATIONS * np.sqrt(new + 1.0) + 1.0) / last, 1.0) * left
    low = _unseen(
        max(once - _DEVIATIONS * np.sqrt(once), 0.0), twice + _DEVIATIONS * np.sqrt(twice + 1.0),
        len(text), left,
    )  # fmt: skip
    low = min(max(low - _DEVIATIONS * np.sqrt(low), 0.0), high)
    return seen + low, seen + high


def _unseen(once: float, twice: float, requests: int, left: float) -> float:
    """Return how many of the texts not seen in some requests `left` further ones have, at least."""
    if once < 1.0:
        return 0.0
    never = once**2 / (2.0 * (twice + 1.0))
    return float(never * -np.expm1(left * np.log1p(-once / (requests * never + once))))
