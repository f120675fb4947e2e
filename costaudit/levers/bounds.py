"""How well a share is known that was counted in a sample."""


def exact_bounds(hits: float, of: float) -> tuple[float, float]:
    """Return Clopper and Pearson's 95 % bounds of a share; effective sizes are no integers."""
    from scipy.stats import beta

    low = float(beta.ppf(0.025, hits, of - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(0.975, hits + 1, of - hits)) if hits < of else 1.0
    return low, high
