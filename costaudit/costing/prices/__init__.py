"""Find the rates that apply to each request.

It reads the price library, costaudit's own corrections and the user's prices, and returns rates. It
never multiplies tokens.
"""
