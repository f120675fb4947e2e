"""Outcomes become money, and money becomes the audit.

Takes token classes and prices, gives the ledger and the audit, never simulates.
"""
