"""What a call is: bodies, usage, times and names in any dialect become one Call.

It takes decoded records and returns calls. It never opens a file.
"""
