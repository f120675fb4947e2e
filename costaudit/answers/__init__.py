"""Whether the answer that a cache would have served is right.

Takes pairs of requests with their answers, returns verdicts and intervals, never simulates.
"""
