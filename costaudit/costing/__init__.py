"""Turn outcomes into money, and money into the audit.

It reads token classes and prices, and returns the ledger and the audit. It never simulates.
"""
