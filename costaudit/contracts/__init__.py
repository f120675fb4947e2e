"""The hall: the only nouns that travel between stages.

Takes nothing, returns schemas, policies and the audit, never computes a result.
"""
