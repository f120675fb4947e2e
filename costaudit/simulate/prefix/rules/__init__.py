"""Providers' prompt-caching rules, by model and date, as data.

It takes requests and returns the rules that apply to them. It never replays.
"""
