"""A few verdicts by a model or a person, and what they say about all hits.

Takes pairs chosen from a sweep, returns verdicts and corrected shares, never spends past a limit.
"""
