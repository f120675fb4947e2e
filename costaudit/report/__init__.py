"""Turn an audit into documents for people and machines.

This package takes an audit and returns text. It never computes a number.
"""
