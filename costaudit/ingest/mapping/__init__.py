"""Interpret users' own tables and records: cells, columns, and mappings of fields.

It takes texts and decoded records, and returns values with evidence. It never opens a log.
"""
