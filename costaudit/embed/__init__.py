"""Embed texts as unit vectors, stored by content hash.

It takes distinct texts, and returns float32 unit vectors. It never embeds a text twice.
"""
