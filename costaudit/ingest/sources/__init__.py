"""What a record of a format is: one file for a family of formats.

Each source takes decoded records and returns calls or skips. It never reads bytes.
"""
