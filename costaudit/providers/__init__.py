"""Clients of models behind providers' APIs.

It takes a prompt and settings of a call, and returns a completion with its tokens.
"""
