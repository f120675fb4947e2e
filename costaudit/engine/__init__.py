"""Run partitions in this process, a process pool or Ray, and choose torch's device.

It takes a function and its partitions, and returns the results in order. It knows no stage.
"""
