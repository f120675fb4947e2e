"""The audit becomes what people and machines read.

Takes an audit, gives text, never computes a number.
"""
