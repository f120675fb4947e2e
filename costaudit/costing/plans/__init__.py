"""Estimate the effort of steps, decide which of them pay, and put them in order.

It never prices a request.
"""
