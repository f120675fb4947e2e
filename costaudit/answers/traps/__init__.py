"""Find differences between two texts that embeddings miss.

The package takes distinct texts, and returns which detectors separate two of them. It doesn't use
vectors.
"""
