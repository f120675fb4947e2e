"""Where partitions run: this process or a process pool; and which device torch computes on.

Takes a function and its partitions, returns the results in order, never knows which stage calls.
"""
