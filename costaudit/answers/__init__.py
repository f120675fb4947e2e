"""Decide whether a cache's answers are right.

The package takes pairs of requests with their answers, and returns verdicts and intervals. It
doesn't simulate anything.
"""
