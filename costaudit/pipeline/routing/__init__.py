"""Try a cheaper model on a sample of a log's calls.

It takes a loaded run and a model's name, and returns a RouteSection. It never spends more than a
limit.
"""
