"""Models behind providers' APIs: how one is named, asked, and read.

Takes a prompt and settings of a call; returns a completion with its tokens. Never decides.
"""
