"""Takes what steps save, returns what they take, which pay, and in which order.

It never prices a request.
"""
