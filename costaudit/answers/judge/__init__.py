"""Get a few verdicts from a model or a person, and correct the shares of all hits by them.

The package takes pairs from a sweep, and returns verdicts and corrected shares. It never spends
more than a limit.
"""
