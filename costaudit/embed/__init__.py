"""Texts become unit vectors, stored by content hash.

Takes distinct texts, returns float32 unit vectors, never embeds a text twice.
"""
