"""Find savings other than caches: routing, output length, batch, waste.

It takes requests, and returns what each lever would change. It never prices them.
"""
