"""Simulate the semantic cache of one log, and return a section of the audit.

It takes a loaded run. It never renders.
"""
