"""Outcomes become money, and money becomes the audit.

Takes token classes and prices, returns the ledger and the audit, never simulates.
"""
