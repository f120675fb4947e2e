"""The semantic response cache, replayed in order at every threshold at once.

Takes a stream of keyed requests and vectors, returns decisions, never prices them.
"""
