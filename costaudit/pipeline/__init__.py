"""The whole audit as one library call: the only composer besides the command line.

Takes logs and settings, returns an Audit, never reads a line or prices a token itself.
"""
