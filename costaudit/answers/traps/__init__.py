"""Differences between two texts that embeddings overlook.

Takes distinct texts, returns the detectors that separate two of them, never sees a vector.
"""
