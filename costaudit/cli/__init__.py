"""The front door: one file per verb, nothing but parsing and calling.

Takes arguments, returns an exit code, never knows how a result is made.
"""
