"""Read raw logs into the tables of requests, blocks and skips.

This stage turns paths into the run directory's three tables. It never prices or simulates.
"""
