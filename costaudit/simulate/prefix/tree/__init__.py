"""Arrange the prompts of a log as paths in one prefix tree.

It takes segments, and returns paths and templates. It knows no provider.
"""
