"""Whether a would-be hit would have been right.

Takes pairs of requests with their answers, gives verdicts and intervals, never simulates.
"""
