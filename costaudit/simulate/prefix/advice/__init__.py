"""Recommend markers, lifetimes and plans, and collect all facts about prompt caching.

It takes causes and replays and returns facts in tokens. It never prices them.
"""
