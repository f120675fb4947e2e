"""What people's own tables and records mean: cells, columns, and mappings of fields.

It takes texts and decoded records and returns values with the evidence. It never opens a log.
"""
