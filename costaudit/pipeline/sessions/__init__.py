"""Take a loaded log; return what its agents' sessions cost, and why, priced.

Never reads a log and never prints.
"""
