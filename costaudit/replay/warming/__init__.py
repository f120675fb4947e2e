"""Caches filled in their own schemas before the first question, and checked by their clients."""
