"""What else could be saved: routing, output length, batch, waste.

Takes requests, gives what each lever would change, never prices it.
"""
