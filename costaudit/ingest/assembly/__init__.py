"""Deduplicate and normalise calls, and write the run's tables.

This folder turns staged pieces into REQUESTS, BLOCKS and SKIPS. It never reads a log.
"""
