"""Tables for the terminal, Markdown, CSV and JSON.

They take parts of the audit and give titled tables. They never compute a figure.
"""
