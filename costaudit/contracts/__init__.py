"""The hall: the only nouns that travel between stages.

Takes nothing, gives schemas, policies and the audit, never computes a result.
"""
