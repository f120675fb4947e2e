"""Take the calls of agents' sessions and their prompts; return what each call paid again, and why.

Never prices anything: tokens by cause and by cache lifetime leave this folder.
"""
