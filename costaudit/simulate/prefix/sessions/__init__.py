"""Find what each call of agents' sessions paid again, and why.

It returns tokens by cause and by cache lifetime. It never prices them.
"""
