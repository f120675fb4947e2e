"""What to do: markers, lifetimes, plans, and everything a report says of prompt caching.

It takes causes and replays and returns facts in tokens. It never prices them.
"""
