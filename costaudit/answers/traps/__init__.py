"""Differences between two texts that embeddings overlook.

Takes distinct texts, gives the detectors that tell two of them apart, never sees a vector.
"""
