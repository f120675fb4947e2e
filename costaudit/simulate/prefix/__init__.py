"""Simulate providers' prompt caches over content blocks.

It takes requests, blocks and dated rules, and returns token classes. It never prices them.
"""
