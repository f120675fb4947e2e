"""Raw log lines become requests, blocks and skips.

Takes paths, returns the run directory's three tables, never prices or simulates.
"""
