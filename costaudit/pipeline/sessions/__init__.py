"""Return what the sessions of a log's agents cost, and why.

It takes a loaded log. It never reads or prints.
"""
