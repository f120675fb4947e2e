"""Find why reads were lost: divergence points, causes, and prompts with the cause repaired.

It takes a replay, and returns causes with tokens. It never prices them.
"""
