"""Turn messages, tools and answers of any dialect into pieces, and pieces into blocks.

It takes JSON text and returns blocks by content hash. It never reads usage or money.
"""
