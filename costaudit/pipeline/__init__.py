"""The whole audit as one library call: the only composer besides the command line.

Takes logs and settings, gives an Audit, never reads a line or prices a token itself.
"""
