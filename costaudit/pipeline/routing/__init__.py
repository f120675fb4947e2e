"""A cheaper model tried on a sample of a log's calls.

Takes a loaded run and a model's name, returns a RouteSection, never spends past a limit.
"""
