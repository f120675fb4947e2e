"""Run the whole audit as one library call.

It takes logs and settings and returns an Audit. It never reads a line or prices a token itself.
"""
