"""The semantic cache of one log, from vectors to a section of the audit.

It takes a loaded run and returns the section. It never renders.
"""
