"""Replay prompt caches over the tree, request by request.

It takes paths and rules and returns reads and writes. It never looks for causes.
"""
