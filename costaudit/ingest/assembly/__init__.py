"""Which calls are one: identity, normalisation, and the run's tables.

It takes staged pieces and returns REQUESTS, BLOCKS and skips. It never reads a log.
"""
