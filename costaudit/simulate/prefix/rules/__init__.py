"""Providers' prompt-caching rules, by model and date, as data.

It takes requests and gives the rules that treat them. It never replays.
"""
