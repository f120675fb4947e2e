"""Get a few verdicts by a model or a person, and estimate all hits from them.

It takes pairs of a sweep, and returns verdicts and corrected shares. It never spends more than a
limit.
"""
