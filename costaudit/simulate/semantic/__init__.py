"""Replay a semantic response cache, in the order of the requests, at all thresholds at once.

The package takes a stream of requests with keys and vectors, and returns decisions. It never
prices them.
"""
