"""Find differences between two texts that embeddings do not see.

It takes distinct texts, and returns the detectors that separate two of them. It uses no vectors.
"""
