"""Takes the times of a log, returns what its days count for in a month and how months differ.

It never prices anything.
"""
