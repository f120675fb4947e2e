"""The prompts of a log as paths in one tree of shared beginnings.

It takes segments and returns paths and templates. It knows no provider.
"""
