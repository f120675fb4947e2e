"""A replay of one log, from the stream to a section of the audit.

It takes a loaded run and a live cache and returns the section. It never renders.
"""
