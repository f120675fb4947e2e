"""Read files incrementally: plan read tasks, stage their pieces, resume interrupted runs.

This folder turns files into staged pieces. It never decides which rows are the same call.
"""
