"""Decide whether a cache's answers are right.

It takes pairs of requests with their answers, and returns verdicts and intervals. It never
simulates.
"""
