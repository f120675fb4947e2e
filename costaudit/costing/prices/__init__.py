"""Which rate prices which request.

It takes the price library, costaudit's own corrections and the user's prices, and returns rates.
It never multiplies tokens.
"""
