"""Build one Call from the bodies, usage, times and names of any dialect.

It takes decoded records and returns calls. It never opens a file.
"""
