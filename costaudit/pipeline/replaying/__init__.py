"""Replay one log, and return a section of the audit.

It takes a loaded run and a live cache. It never renders.
"""
