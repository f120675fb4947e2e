"""What else could be saved: routing, output length, batch, waste.

Takes requests, returns what each lever would change, never prices it.
"""
