"""Estimate which hits are right from the similarity of answers and from sets of answers."""
