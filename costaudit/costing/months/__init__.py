"""Turn a log's times into weights of its days in a month, and show how months differ.

It never prices anything.
"""
