"""What providers bill: usage reports, cost reports and exports of costs.

It takes files that are no logs and returns the lines of a Bill. It never counts a call.
"""
