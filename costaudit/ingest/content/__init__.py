"""Messages, tools and answers in any dialect become pieces, and pieces become blocks.

Takes JSON text, returns blocks by content hash, never looks at usage or money.
"""
