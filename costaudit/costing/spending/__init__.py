"""Add up what calls cost, part by part of a log, and make the rows of breakdowns.

It never chooses a price.
"""
