"""Providers' prompt caches over content blocks.

Takes requests, blocks and dated rules, returns token classes, never prices them.
"""
