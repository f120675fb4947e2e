"""The command line: one file per verb, which only parses and calls.

It takes arguments and returns an exit code. It computes no result.
"""
