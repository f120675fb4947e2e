"""Number the groups that requests belong to, and find quantiles within groups.

It never prices a request.
"""
