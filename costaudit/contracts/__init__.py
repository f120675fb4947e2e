"""The data types that stages pass to one another: schemas, policies and the audit.

It takes nothing and never computes a result.
"""
