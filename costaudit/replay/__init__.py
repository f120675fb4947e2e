"""The same requests through a live cache.

Takes requests and a cache's address, returns outcomes, never writes a key it did not create.
"""
