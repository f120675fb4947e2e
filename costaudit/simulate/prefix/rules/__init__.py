"""Providers' prompt-caching rules, by model and date, as data.

It takes requests and returns the rules that treat them. It never replays.
"""
