"""Read providers' bills: usage reports, cost reports and cost exports.

This folder turns files that are not logs into the lines of a Bill. It never counts calls.
"""
