"""What has been read already: read tasks, staged pieces, and where an interrupted run goes on.

It takes files and returns staged pieces. It never decides which calls are one.
"""
