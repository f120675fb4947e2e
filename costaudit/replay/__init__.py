"""Send the same requests through a live cache.

It takes requests and a cache's address, and returns outcomes. It writes only its own keys.
"""
