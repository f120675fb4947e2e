"""Providers' prompt caches over content blocks.

Takes requests, blocks and dated rules, gives token classes, never prices them.
"""
