"""The audit becomes what people and machines read.

Takes an audit, returns text, never computes a number.
"""
